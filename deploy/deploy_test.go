// Package deploy_test checks the files of this folder against each other and
// against the program: what can be known without running containers.
package deploy_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ownkey/ownkey/config"
	"go.yaml.in/yaml/v3"
)

// compose is what these tests read of compose.yaml.
type compose struct {
	Services map[string]service `yaml:"services"`
	Volumes  map[string]any     `yaml:"volumes"`
	Secrets  map[string]struct {
		Environment string `yaml:"environment"`
	} `yaml:"secrets"`
}

type service struct {
	Image       string            `yaml:"image"`
	Environment map[string]string `yaml:"environment"`
	Volumes     []string          `yaml:"volumes"`
	Secrets     []string          `yaml:"secrets"`
	Ports       []string          `yaml:"ports"`
	DependsOn   map[string]any    `yaml:"depends_on"`
}

// mount gives what lies at a path in the container.
func (s service) mount(at string) (source string) {
	for _, v := range s.Volumes {
		if parts := strings.Split(v, ":"); parts[1] == at {
			return parts[0]
		}
	}
	return ""
}

// read decodes a YAML file of this folder.
func read(t *testing.T, file string, to any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, to); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

func readCompose(t *testing.T) (c compose) {
	t.Helper()
	read(t, "compose.yaml", &c)
	return c
}

func readConfig(t *testing.T) *config.Config {
	t.Helper()
	const file = "compose/ownkey.yaml"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	given := readCompose(t).Services["ownkey"].Environment
	c, err := config.Parse(file, text, func(name string) (string, bool) {
		_, ok := given[name]
		return "secret-0123456789", ok
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

var pinned = regexp.MustCompile(`^[a-z/-]+:v?\d+\.\d+\.\d+(\.\d+)?$`)

// TestComposeFits: images are pinned, what is mounted exists, names refer to
// what there is, and only loopback is published.
func TestComposeFits(t *testing.T) {
	c := readCompose(t)
	for name, s := range c.Services {
		if !pinned.MatchString(s.Image) && s.Image != "ownkey:local" {
			t.Errorf("%s: image %s is not pinned", name, s.Image)
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if _, declared := c.Volumes[source]; declared {
				continue
			}
			if _, err := os.Stat(source); err != nil {
				t.Errorf("%s mounts %s: %v", name, source, err)
			}
		}
		for other := range s.DependsOn {
			if _, ok := c.Services[other]; !ok {
				t.Errorf("%s depends on %s", name, other)
			}
		}
		for _, p := range s.Ports {
			if !strings.HasPrefix(p, "127.0.0.1:") {
				t.Errorf("%s publishes %s", name, p)
			}
		}
		for _, secret := range s.Secrets {
			if _, ok := c.Secrets[secret]; !ok {
				t.Errorf("%s wants secret %s", name, secret)
			}
		}
	}
}

// TestConfigFitsCompose: the configuration is valid, and its hosts and files
// are those of the containers.
func TestConfigFitsCompose(t *testing.T) {
	c, gateway := readConfig(t), readCompose(t)
	for _, address := range []string{c.Keyring.Vault.Address, c.Meter.ClickHouse.URL} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := gateway.Services[u.Hostname()]; !ok {
			t.Errorf("no container is called %s", u.Hostname())
		}
	}
	s := gateway.Services["ownkey"]
	if s.mount(c.Data) != "ownkey-data" {
		t.Errorf("data %s is on no volume", c.Data)
	}
	for _, l := range []config.VaultLogin{c.Keyring.Vault.Data, c.Keyring.Vault.Admin} {
		for _, file := range []string{l.RoleIDFile, l.SecretIDFile} {
			if volume := s.mount(path.Dir(file)); volume == "" || volume != gateway.Services["vault-setup"].mount("/identities") {
				t.Errorf("%s is not made by vault-setup", file)
			}
		}
	}
	if user := gateway.Services["clickhouse"].Environment["CLICKHOUSE_USER"]; user != c.Meter.ClickHouse.User {
		t.Errorf("ClickHouse has user %s, the gateway is %s", user, c.Meter.ClickHouse.User)
	}
}

// TestPrometheusFits: it scrapes the admin plane with the admin token.
func TestPrometheusFits(t *testing.T) {
	var p struct {
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			Authorization struct {
				CredentialsFile string `yaml:"credentials_file"`
			} `yaml:"authorization"`
			StaticConfigs []struct {
				Targets []string `yaml:"targets"`
			} `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	read(t, "prometheus/prometheus.yml", &p)
	_, port, err := net.SplitHostPort(readConfig(t).Admin.Listen[0])
	if err != nil {
		t.Fatal(err)
	}
	scrape := p.ScrapeConfigs[0]
	if want := []string{"ownkey:" + port}; !slices.Equal(scrape.StaticConfigs[0].Targets, want) {
		t.Errorf("targets %v, want %v", scrape.StaticConfigs[0].Targets, want)
	}
	c := readCompose(t)
	secret := path.Base(scrape.Authorization.CredentialsFile)
	if !slices.Contains(c.Services["prometheus"].Secrets, secret) || c.Secrets[secret].Environment != "OWNKEY_ADMIN_TOKEN" {
		t.Errorf("Prometheus has no admin token at %s", scrape.Authorization.CredentialsFile)
	}
	for _, file := range p.RuleFiles {
		if _, err := os.Stat(filepath.Join("prometheus", file)); err != nil {
			t.Error(err)
		}
	}
}

// TestGrafanaFits: its sources are the containers, its dashboards are mounted
// where it looks for them, and the plugin is the version that they were made for.
func TestGrafanaFits(t *testing.T) {
	c := readCompose(t)
	grafana := c.Services["grafana"]
	var sources struct {
		Datasources []struct {
			Type     string `yaml:"type"`
			URL      string `yaml:"url"`
			JSONData struct {
				Host            string `yaml:"host"`
				Port            int    `yaml:"port"`
				Protocol        string `yaml:"protocol"`
				Username        string `yaml:"username"`
				DefaultDatabase string `yaml:"defaultDatabase"`
			} `yaml:"jsonData"`
			SecureJSONData map[string]string `yaml:"secureJsonData"`
		} `yaml:"datasources"`
	}
	read(t, "grafana/provisioning/datasources/ownkey.yaml", &sources)
	house, prometheus := sources.Datasources[0], sources.Datasources[1]
	at := fmt.Sprintf("%s://%s:%d", house.JSONData.Protocol, house.JSONData.Host, house.JSONData.Port)
	meter := readConfig(t).Meter.ClickHouse
	if at != meter.URL || house.JSONData.DefaultDatabase != meter.Database || house.Type != "grafana-clickhouse-datasource" {
		t.Errorf("Grafana reads %+v, the gateway writes to %s at %s", house, meter.Database, meter.URL)
	}
	name := strings.TrimSuffix(strings.TrimPrefix(house.SecureJSONData["password"], "$__env{"), "}")
	if grafana.Environment[name] == "" || grafana.Environment[name] != c.Services["clickhouse"].Environment[name] {
		t.Errorf("Grafana's password for ClickHouse is %s", house.SecureJSONData["password"])
	}
	if prometheus.Type != "prometheus" || prometheus.URL != "http://prometheus:9090" {
		t.Errorf("%+v", prometheus)
	}
	var boards struct {
		Providers []struct {
			Options struct {
				Path string `yaml:"path"`
			} `yaml:"options"`
		} `yaml:"providers"`
	}
	read(t, "grafana/provisioning/dashboards/ownkey.yaml", &boards)
	if grafana.mount(boards.Providers[0].Options.Path) != "./grafana/dashboards" {
		t.Errorf("no dashboards at %s", boards.Providers[0].Options.Path)
	}
	_, version, _ := strings.Cut(grafana.Environment["GF_PLUGINS_PREINSTALL_SYNC"], "@")
	for _, file := range dashboards(t) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), house.Type) && !strings.Contains(string(text), `"pluginVersion": "`+version+`"`) {
			t.Errorf("%s is not made for the plugin's version %s", file, version)
		}
	}
}

// TestClickHouseUsers: the file is well formed, and Grafana's user may read the
// database of the meter.
func TestClickHouseUsers(t *testing.T) {
	f, err := os.Open("compose/clickhouse-users.xml")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	grant := "GRANT SELECT ON " + readConfig(t).Meter.ClickHouse.Database + ".*"
	found := false
	for d := xml.NewDecoder(f); ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if text, ok := token.(xml.CharData); ok && string(text) == grant {
			found = true
		}
	}
	if !found {
		t.Errorf("no %s", grant)
	}
}

func dashboards(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("grafana/dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%v %v", files, err)
	}
	return files
}

// TestImageIsSmallAndUnprivileged: the last stage holds the program and its
// volume, has no shell, and its user is nobody.
func TestImageIsSmallAndUnprivileged(t *testing.T) {
	text, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages := strings.Split(string(text), "\nFROM ")
	last := strings.Split(stages[len(stages)-1], "\n")
	if !regexp.MustCompile(`/static-debian\d+:nonroot$`).MatchString(last[0]) {
		t.Errorf("it is made from %q", last[0])
	}
	for _, line := range last[1:] {
		switch word, rest, _ := strings.Cut(line, " "); word {
		case "COPY":
			if rest != "--from=build /src/ownkey /ownkey" && rest != "--from=build --chown=65532:65532 /state /var/lib/ownkey" {
				t.Errorf("it holds more: %s", line)
			}
		case "USER", "RUN", "ADD":
			t.Errorf("the last stage has %q", line)
		}
	}
	if !slices.Contains(last, "VOLUME /var/lib/ownkey") {
		t.Error("its state is no volume")
	}
}
