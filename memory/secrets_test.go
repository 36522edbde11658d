package memory

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestSecretsAreRemoved: each shape that docs/memory.md names, in the middle of
// a sentence. Parts are joined here so that no scanner takes them for real.
func TestSecretsAreRemoved(t *testing.T) {
	long := strings.Repeat("aB3dE5gH", 6) // 48
	hex := strings.Repeat("0123abcd", 6)
	for _, secret := range []string{
		"ok_" + long, "oka_" + long, "sk-" + long, "sk-proj-" + long, "sk-ant-api03-" + long, "sk-or-v1-" + long, "gsk_" + long, "hf_" + long, "xai-" + long,
		"pplx-" + long, "nvapi-" + long, "r8_" + long, "sk_live_" + long, "rk_test_" + long, "whsec_" + long, "ghp_" + long, "gho_" + long, "github_pat_" + long,
		"glpat-" + long[:20], "hvs." + long, "AKIA" + "IOSFODNN7EXAMPLE", "AIza" + long[:35], "ya29." + long, "GOCSPX-" + long[:28], "xoxb-" + "123456789012-abcdef", "xapp-1-" + long,
		"https://hooks.slack.com/services/" + "T00000000/B00000000/" + long[:24], "https://discord.com/api/webhooks/123456/" + long, "SG." + long[:22] + "." + long[:43],
		"npm_" + long[:36], "pypi-" + long, "dckr_pat_" + long, "dop_v1_" + hex, "shpat_" + hex[:32], "key-" + hex[:32], "lin_api_" + long, "dapi" + hex[:32],
		"eyJhbGciOiJIUzI1NiJ9." + long + "." + long, "123456789:AA" + long[:33], "AGE-SECRET-KEY-1" + strings.ToUpper(long),
		"fw_" + long, "tgp_v1_" + long, "csk-" + long, "sq0atp-" + long, "ntn_" + long, "figd_" + long, "glc_" + long, "sntrys_" + long, "ATATT3" + long,
		"PMAK-" + hex[:24] + "-" + hex[:34], "ASIA" + "IOSFODNN7EXAMPLE", "SharedAccessKey=" + long + "=",
		"AccountKey=" + long + "==", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + long + "==",
		"-----BEGIN RSA PRIVATE KEY-----\n" + long + "\n-----END RSA PRIVATE KEY-----", "-----BEGIN OPENSSH PRIVATE KEY-----\n" + long, "-----BEGIN PGP PRIVATE KEY BLOCK-----\n" + long,
		"Authorization: Bearer " + long, "authorization: Basic " + long, "https://x.blob.core.windows.net/a?sv=1&sig=" + long + "%3D",
		"postgres://app:" + long[:12] + "@db.example.org/app", "https://ada:" + long[:8] + "@example.org/", "redis://:" + long[:9] + "@cache:6379", "mongodb+srv://u:" + long[:10] + "@c.example.net",
		"password: " + long[:7], "Password is " + long[:9], "password " + long[:9], "pwd=" + long[:6], "DB_PASSWORD=" + long[:8], `"password": "` + long[:8] + `"`, "passphrase = '" + long[:9] + "'",
		"Das Passwort lautet Sommer2024!", "mot de passe : " + long[:8], "contraseña: " + long[:8], "la contraseña es " + long[:8], "senha: " + long[:8], "пароль: " + long[:8], "密码是" + long[:8], "パスワードは" + long[:8],
		"la parola è " + long[:8], "password: " + long[:8] + "!", "wachtwoord: " + long[:8], "hasło: " + long[:8], "lösenord: " + long[:8], "密碼：" + long[:8], "비밀번호: " + long[:8],
		"secret: " + long[:8], "access key: " + long[:20], "private_key=" + long[:20],
		"my PIN is 4471", "pin: 123456", "client_secret: \"" + long[:16] + "\"", "aws_secret_access_key = " + long[:40], "api_key=" + long[:20], "X-Api-Key: " + long[:20], "access_token: " + long,
		"DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "4111 1111 1111 1111", "5555-5555-5555-4444",
	} {
		got := withoutSecrets("I wrote " + secret + " and went home.")
		if !strings.Contains(got, removed) || !strings.HasPrefix(got, "I wrote ") || strings.Contains(got, long[:6]) || strings.Contains(got, "Sommer") || strings.Contains(got, "4471") {
			t.Errorf("%q becomes %q", secret, got)
		}
		if !strings.Contains(secret, "-----BEGIN") && !strings.HasSuffix(got, " and went home.") {
			t.Errorf("%q: what follows is lost: %q", secret, got)
		}
		if again := withoutSecrets(got); again != got {
			t.Errorf("a second time: %q becomes %q", got, again)
		}
	}
}

// TestOtherTextsStay: words about secrets, and what only looks like one.
func TestOtherTextsStay(t *testing.T) {
	for _, text := range []string{
		"The password is required.", "I forgot my password again", "Use a password manager in 2026", "secret santa is on Friday", "The secret is patience.", "the secret ingredient",
		"max_tokens: 4096", "token: 12345", "a token of love", "input_tokens=1200000", "Das Passwort ist falsch", "the key is under the mat", "sk-learn and sk-8", "the bearer of bad news",
		"order 4111 1111 1111 1112", "call +49 30 1234567890", "flight LH2041 at 10:45", "https://example.org:8443/a?b=c&sig=short", "mailto:ada@example.org", "git@github.com:ownkey/ownkey.git",
		"ssh://git@example.org/x", "https://example.org/a:b/@c", "the pin is bent", "pin it to the wall", "version v1.2.3-rc.4", "550e8400-e29b-41d4-a716-446655440000", "Basic training starts", "SG. is short",
		"sha256 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "DE89 3704 0044 0532 0130 02", "no secrets: none", "mot de passe oublié", "hf_ and npm_ are prefixes",
	} {
		if got := withoutSecrets(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

// slowly is withoutSecrets with every regular expression on the whole text.
func slowly(text string) string {
	text = keys.ReplaceAllString(text, removed)
	text = withoutHeaders(text)
	text = tokens.ReplaceAllString(text, removed)
	text = addresses.ReplaceAllString(text, "${1}"+removed+"@")
	text = withoutLogins(text)
	text = withoutLabelled(text)
	text = account.ReplaceAllStringFunc(text, removedIf(bankAccount))
	return withoutRandom(withoutCards(text))
}

// parts of texts that are secrets, or nearly.
var parts = []string{
	"sk-", "ok_", "xoxb-", "eyJ", ".", "AKIA", "key-", "https://", "hooks.slack.com/", "?sig=", "&", "%3D", "123456789:AA", "-----BEGIN ", "PRIVATE KEY-----", "-----END ", "Bearer", "baſic", "BASIC ",
	"aB3dE5gH", "0123abcd", "4111", " 1111", "-", "_", "/", "=", "+", "~", "é", "ſ", "\u212a", " ", "  ", "\n", "\t", "\"", "'", ",", ":", ": ", "(", "password", "PIN", "to\u212aen", "paſsword", "密码", "是",
	"secret", "api key", "is", " for the wifi is ", " -u ada:", "4111.1111/1111_1111", "q7Zk2XvP9mLwT4bRyH8cJ1nG", "暗証番号は", "пин-код ", "مفتاح", "sha256:", "DE89", " 3704 0044 0532 0130 00", "GB82WEST12345698765432", "@host", "postgres://u:", "x", "A", "0", "\xff",
}

// TestWhatIsPassedOverHasNoSecrets: looking only where secrets can be finds what
// looking everywhere does.
func TestWhatIsPassedOverHasNoSecrets(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	found := 0
	for range 8_000 {
		var text strings.Builder
		for range 1 + random.IntN(12) {
			for part := parts[random.IntN(len(parts))]; ; {
				if text.WriteString(part); random.IntN(3) > 0 {
					break
				}
			}
		}
		want := slowly(text.String())
		if want != text.String() {
			found++
		}
		if got := withoutSecrets(text.String()); got != want {
			t.Fatalf("%q becomes %q, want %q", text.String(), got, want)
		}
	}
	if found < 400 {
		t.Errorf("only %d texts had a secret", found)
	}
}

func FuzzWithoutSecrets(f *testing.F) {
	for _, part := range parts {
		f.Add(part + strings.Repeat("aB3dE5gH", 6))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, want := withoutSecrets(text), slowly(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	})
}

func BenchmarkWithoutSecrets(b *testing.B) {
	for name, text := range map[string]string{
		"prose":  strings.Repeat("Ada keeps bees in the garden behind the house, and sells honey on Saturdays. ", 400),
		"pins":   strings.Repeat(" pin", 7_000),
		"digits": strings.Repeat("flight 2041 on 2026-11-28 costs 199 euros, ", 700),
		"code":   strings.Repeat("if err := json.Unmarshal(body, &answer); err != nil {\n\treturn fmt.Errorf(\"cannot read: %w\", err)\n}\n", 300),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for range b.N {
				withoutSecrets(text)
			}
		})
		b.Run(name+"/slowly", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for range b.N {
				slowly(text)
			}
		})
	}
}
