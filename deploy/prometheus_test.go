package deploy_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/metrics.md anew")

// TestMetricsPage: docs/metrics.md lists every metric of ours with its kind,
// labels and help, as the sources have them.
func TestMetricsPage(t *testing.T) {
	all := registered(t)
	var b strings.Builder
	b.WriteString("# Metrics\n\n`GET /metrics` on the admin plane, with the admin token, in Prometheus's text format. Base units: seconds and bytes. Labels are words\n" +
		"from tables of ours; a provider's name is the configured one. Beside these there are `go_*` and `process_*` of Prometheus's Go client.\n" +
		"[dashboards.md](dashboards.md) has the alerts and boards that use them. Made from the sources: `make docs`.\n\n" +
		"| metric | kind | labels | |\n| --- | --- | --- | --- |\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		labels := m.labels
		if strings.HasPrefix(name, "ownkey_vault_") {
			labels = append([]string{"keyring"}, labels...) // of the registry that they are made with
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", name, m.kind, strings.Join(labels, ", "), m.help)
	}
	const page = "../docs/metrics.md"
	if *update {
		if err := os.WriteFile(page, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(page)
	if err != nil || string(have) != b.String() {
		t.Errorf("docs/metrics.md is not what the sources say (%v); run: make docs", err)
	}
}

// TestMetricsFollowConventions: the kind of each metric can be seen from its name.
func TestMetricsFollowConventions(t *testing.T) {
	for name, m := range registered(t) {
		if (m.kind == "counter") != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s", name, m.kind)
		}
		if m.kind == "histogram" && !strings.HasSuffix(name, "_seconds") && !strings.HasSuffix(name, "_bytes") {
			t.Errorf("%s has no base unit", name)
		}
		if !strings.HasSuffix(m.help, ".") {
			t.Errorf("the help of %s is no sentence: %s", name, m.help)
		}
	}
}

// promtool runs Prometheus's own checks.
func promtool(t *testing.T, stdin []byte, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = bytes.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil || bytes.Contains(out, []byte("FAILED")) {
		t.Errorf("promtool %v: %v\n%s", args, err, out)
	}
}

// TestRules: promtool takes the rules and the configuration, and every alert
// fires in alerts_test.yml when it should, and in a quiet installation does not.
func TestRules(t *testing.T) {
	promtool(t, nil, "check", "rules", "prometheus/alerts.yml")
	promtool(t, nil, "check", "config", "--syntax-only", "prometheus/prometheus.yml")
	promtool(t, nil, "test", "rules", "prometheus/alerts_test.yml")
	var tests struct {
		Tests []struct {
			Name       string `yaml:"name"`
			AlertTests []struct {
				Alert  string `yaml:"alertname"`
				Expect []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		} `yaml:"tests"`
	}
	read(t, "prometheus/alerts_test.yml", &tests)
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, test := range tests.Tests {
		for _, a := range test.AlertTests {
			if len(a.Expect) > 0 {
				fires[a.Alert] = true
			} else {
				quiet[a.Alert] = true
			}
		}
	}
	manual, err := os.ReadFile("../docs/dashboards.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for where := range expressions(t) {
		alert, ok := strings.CutPrefix(where, "alerts.yml: ")
		if !ok {
			continue
		}
		n++
		if !fires[alert] || !quiet[alert] {
			t.Errorf("%s: fires in a test %v, is quiet in a test %v", alert, fires[alert], quiet[alert])
		}
		if !strings.Contains(string(manual), alert) {
			t.Errorf("docs/dashboards.md does not say what to do about %s", alert)
		}
	}
	if n < 10 {
		t.Errorf("only %d alerts", n)
	}
}

// TestPrometheusScrapes: a real Prometheus scrapes the real program and loads
// the alerts. A provider is made to fail, and the alert about it fires.
func TestPrometheusScrapes(t *testing.T) {
	dir := t.TempDir()
	gateway := startGateway(t, dir)
	metrics := gateway.metrics(t)
	promtool(t, metrics, "check", "metrics")
	everyNameIsThere(t, string(metrics))

	alerts, err := filepath.Abs("prometheus/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%s]
scrape_configs:
  - job_name: ownkey
    authorization: {credentials: %s}
    static_configs: [{targets: ['%s']}]
`, alerts, gateway.AdminToken, strings.TrimPrefix(gateway.AdminURL, "http://"))
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	run(t, exec.Command("prometheus", "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "tsdb"),
		"--web.listen-address", address, "--log.level", "error"))
	ask := func(path string) string {
		response, err := http.Get("http://" + address + path)
		if err != nil {
			return ""
		}
		defer response.Body.Close()
		b, _ := io.ReadAll(response.Body)
		return string(b)
	}
	within(t, "a scrape", 30*time.Second, func() bool {
		return strings.Contains(ask("/api/v1/query?query="+url.QueryEscape("ownkey_build_info and on (instance) up == 1")), `"goversion"`)
	})
	if firing := ask("/api/v1/alerts"); strings.Contains(firing, `"alertname"`) {
		t.Errorf("an alert of a gateway that is well: %s", firing)
	}
	within(t, "the alert about the provider that nobody listens for", 60*time.Second, func() bool {
		gateway.call(t, "dead/model")
		firing := ask("/api/v1/alerts")
		return strings.Contains(firing, `"OwnkeyProviderUnreachable"`) && strings.Contains(firing, `"firing"`)
	})
}

// gateway is a running program.
type gateway struct {
	BaseURL    string `json:"base_url"`
	AdminURL   string `json:"admin_url"`
	Token      string `json:"token"`
	AdminToken string `json:"admin_token"`
}

// startGateway builds the program and starts it with a provider that nobody
// listens for.
func startGateway(t *testing.T, dir string) (g gateway) {
	t.Helper()
	binary, ready := filepath.Join(dir, "ownkey"), filepath.Join(dir, "ready.json")
	if out, err := exec.Command("go", "build", "-o", binary, "../cmd/ownkey").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	run(t, exec.Command(binary, "dev", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--ready-file", ready, "--provider", "dead=http://127.0.0.1:1/v1", "--credential", "dead=sk-x"))
	within(t, "the start of the gateway", 30*time.Second, func() bool {
		b, err := os.ReadFile(ready)
		return err == nil && json.Unmarshal(b, &g) == nil
	})
	return g
}

// run starts a process that ends with the test.
func run(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if said := stderr.String(); t.Failed() {
			t.Logf("%s: … %s", cmd.Path, said[max(0, len(said)-2000):])
		}
	})
}

func (g gateway) metrics(t *testing.T) []byte {
	t.Helper()
	request, err := http.NewRequest("GET", g.AdminURL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+g.AdminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != 200 {
		t.Fatalf("%d %v", response.StatusCode, err)
	}
	return b
}

func (g gateway) call(t *testing.T, model string) {
	t.Helper()
	request, err := http.NewRequest("POST", g.BaseURL+"/chat/completions", strings.NewReader(`{"model":"`+model+`","messages":[{"role":"user","content":"hi"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+g.Token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

// everyNameIsThere: what boards and alerts ask of the process itself is in the
// program's metrics, each with help and type.
func everyNameIsThere(t *testing.T, metrics string) {
	t.Helper()
	for where, text := range expressions(t) {
		for _, name := range ofProcess.FindAllString(text, -1) {
			if !strings.Contains(metrics, "# HELP "+name+" ") || !strings.Contains(metrics, "# TYPE "+name+" ") {
				t.Errorf("%s: %s is no metric of the program's", where, name)
			}
		}
	}
	if !strings.Contains(metrics, "ownkey_build_info{") {
		t.Error("no ownkey_build_info")
	}
}

func within(t *testing.T, what string, limit time.Duration, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
