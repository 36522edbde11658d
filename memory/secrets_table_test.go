package memory

import (
	"strings"
	"testing"
)

// base62 and hexadecimal are characters as random ones, cut to what a shape needs.
const (
	base62      = "q7Zk2XvP9mLwT4bRyH8cJ1nGdF5sAeU3oKiW6xVtQzB0rMpYhCjN2gD7fSaE4uOlI"
	hexadecimal = "9f8e2a7c41d0b3658e7f1c2d3a4b5960f7e8d9cab1a2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"
)

// secretTexts are sentences with a secret in <>, in the languages and formats that
// people and programs write. Parts are joined so that no scanner takes them for real.
//
//nolint:misspell // words of other languages
func secretTexts() []string {
	b, h := base62, hexadecimal
	texts := []string{
		"Das Passwort lautet <Sommer2024!>", "Mein Kennwort ist <Winter#99x>", "Das Passwort für das WLAN ist <Sommer2024!>", "Passwort: <geheim>", "Das WLAN-Passwort lautet <Katze77!>", "Meine PIN ist <4471>", "PIN-Code: <447121>", "Die Geheimzahl lautet <4471>", "Zugangscode: <Haus7721>",
		"Le mot de passe est <Soleil2024!>", "mot de passe : <soleil>", "Mon mot de passe du wifi est <Chat77!x>", "mdp : <Soleil24>", "code secret : <Soleil24>", "Mon code PIN est <4471>", "Le code confidentiel est <4471>",
		"La contraseña es <Verano2024!>", "contraseña: <verano>", "La contraseña del wifi es <Gato77!x>", "Mi clave es <Verano24!>", "clave secreta: <Verano24>", "Mi PIN es <4471>", "contrasena: <verano24>",
		"La password è <Estate2024!>", "La parola d'ordine è <Estate24!>", "password: <estate>", "La password del wifi è <Gatto77!>", "Il mio PIN è <4471>", "codice segreto: <Estate24>",
		"A senha é <Verao2024!>", "senha: <verao>", "A senha do wifi é <Gato77!x>", "palavra-passe: <Verao24>", "O meu PIN é <4471>", "A palavra-passe é <Verao24!>",
		"Het wachtwoord is <Zomer2024!>", "wachtwoord: <zomer>", "Het wachtwoord van de wifi is <Poes77!x>", "Mijn pincode is <4471>", "pincode: <4471>",
		"Hasło to <Lato2024!>", "hasło: <lato7>", "Hasło do wifi to <Kot77!xy>", "Moje hasło jest <Lato24!x>", "Mój PIN to <4471>",
		"Пароль: <лето>", "Пароль <Leto2024!>", "Мой пароль это <Leto2024!>", "Пароль от вайфая: <Kot77!xy>", "Мой пин-код <4471>", "пинкод: <4471>", "Пароль — <Leto2024!>",
		"Şifre: <yaz2024>", "Şifrem <Yaz2024!>", "Parola: <yazlik>", "Wifi şifresi: <Kedi77!x>", "Şifremiz: <Yaz2024!>", "PIN kodum: <4471>",
		"密码是<Xia2024!>", "密码：<xiatian>", "我的密碼是<Xia2024!>", "wifi密码: <Mao77!xy>", "口令：<Xia2024>", "PIN码是<4471>",
		"パスワードは<Natsu2024!>", "パスワード：<natsu>", "Wi-Fiのパスワードは<Neko77!x>", "暗証番号は<4471>", "暗証番号：<4471>",
		"비밀번호는 <Yeoreum2024!>", "비밀번호: <yeoreum>", "와이파이 비밀번호: <Goyangi77>", "암호: <Yeoreum24>", "비번: <Yeoreum24>", "핀번호는 <4471>",
		"كلمة المرور: <Sayf2024!>", "كلمة السر هي <Sayf2024!>", "كلمة المرور هي <Sayf2024!>", "الرقم السري: <4471>",
		"The password for the wifi is <Summer2024!>", "password for the router: <hunter2x>", "my wifi password is <hunter2!>", "My passcode is <447121x>", "the passphrase is <Correct-Horse7>", "PIN code: <4471>",
		"curl -u ada:<Summer2024> https://example.org", "curl --user ada:<Summer2024> https://example.org",
		"postgres://app:<Summer2024>@db.example.org/app", "amqp://guest:<Summer2024>@mq:5672/", "https://ada:<Summer2024>@example.org/x", "mysql://root:<p%40ss>@db/x",
		"Server=db;User Id=app;Password=<Summer2024>;", "jdbc:postgresql://db/x?user=app&password=<Summer2024>",
		"My IBAN is <DE89 3704 0044 0532 0130 00>", "IBAN <DE89-3704-0044-0532-0130-00>", "IBAN <FR1420041010050500013M02606>", "<GB82.WEST.1234.5698.7654.32>", "<NL91 ABNA 0417 1643 00>",
		"Card <4111 1111 1111 1111>", "<4111-1111-1111-1111>", "<4111.1111.1111.1111>", "<4111/1111/1111/1111>", "<4111_1111_1111_1111>", "<4111 1111 1111 1111>", "<4111–1111–1111–1111>", "<4111  1111  1111  1111>", "<5555555555554444>", "<3782 822463 10005>", "<378282246310005>", "<6011 1111 1111 1117>",
		"SK<" + h[:32] + ">", "1//0<" + b[:40] + ">", "dp.pt.<" + b[:43] + ">", "pul-<" + h[:40] + ">", "ATBB<" + b[:32] + ">", "HRKU-<" + b[:40] + ">", "rubygems_<" + h[:48] + ">", "nfp_<" + b[:36] + ">", "sbp_<" + h[:40] + ">", "sb_secret_<" + b[:31] + ">",
		"pat<" + b[:14] + "." + h[:64] + ">", "pat-na1-<" + "9f8e2a7c-41d0-4365-8e7f-1c2d3a4b5960>", "EAA<" + b + b[:30] + ">", "xkeysib-<" + h[:64] + "-" + b[:16] + ">", "<" + h[:32] + "-us12>", "secret_<" + b[:43] + ">", "NRAK-<" + strings.ToUpper(b[:27]) + ">", "phx_<" + b[:43] + ">",
		"<" + b[:14] + ".atlasv1." + b + ">", "glsa_<" + b[:32] + "_" + h[:8] + ">", "LTAI<" + b[:20] + ">", "AKID<" + b[:32] + ">", "jina_<" + b[:60] + ">", "tvly-<" + b[:32] + ">", "lsv2_pt_<" + h[:32] + "_" + h[:10] + ">", "pcsk_<" + b[:60] + ">",
		"shippo_live_<" + h[:40] + ">", "access-production-<9f8e2a7c-41d0-4365-8e7f-1c2d3a4b5960>", "CFPAT-<" + b[:43] + ">", "fo1_<" + b[:43] + ">", "v1.0-<" + h[:24] + "-" + h[:100] + ">", "<" + b[:3] + "8Q~" + b[:34] + ">", "sk_<" + h[:48] + ">",
		"https://acme.webhook.office.com/webhookb2/<" + h[:40] + ">",
		"Use <" + b[:40] + "> for it", "it says <" + b[10:44] + "> there", "The key for the staging system: <" + b[:24] + ">", "the credential of the bot, <" + b[5:29] + ">", "Der Schlüssel ist <" + b[:26] + ">", "our secret value <" + h[:40] + ">",
	}
	return texts
}

func TestSecretsInTextsAreRemoved(t *testing.T) {
	texts := secretTexts()
	if len(texts) < 120 {
		t.Errorf("%d texts", len(texts))
	}
	kept := 0
	for _, text := range texts {
		before, rest, _ := strings.Cut(text, "<")
		secret, behind, _ := strings.Cut(rest, ">")
		plain := "So: " + before + secret + behind + "\nand so on."
		got := withoutSecrets(plain)
		if strings.Contains(got, secret) || !strings.Contains(got, removed) || !strings.HasSuffix(got, "and so on.") || !strings.HasPrefix(got, "So: ") {
			kept++
			t.Errorf("%q becomes %q", plain, got)
		}
		if again := withoutSecrets(got); again != got {
			t.Errorf("a second time: %q becomes %q", got, again)
		}
	}
	if kept > 0 {
		t.Errorf("%d of %d are kept", kept, len(texts))
	}
}

// innocentTexts stay as they are: a line each.
var innocentTexts = `
The password is required.
Please change your password every ninety days.
The password for the wifi is on the fridge
The password must have twelve characters
She forgot the password of her first account in 2019
password hashing with argon2id
The passwords are stored in a vault.
Passwords: never write them down
The pass was closed in 2019
A passport number is needed
The key is under the mat.
The key to success is patience
Press the F12 key to open the tools
primary key on orders_2024
The token expires in 3600 seconds
tokens: 4096
max_tokens=1200000
The secret of good bread is time.
secret santa is on Friday the 13th
The secret ingredient is saffron2
I pinned 4471 photos
The PIN is printed on the letter
pin 4 of the connector
pinky promise
Das Passwort ist falsch.
Das Passwort wurde gestern geändert
Das Passwort für das WLAN steht am Router
Ich habe mein Passwort vergessen
Der Schlüssel liegt unter der Matte.
Die Geheimzahl kam mit der Post
Passwörter gehören in einen Tresor
Le mot de passe est obligatoire.
Le mot de passe est incorrect
Mon mot de passe a changé en 2019
La clé est sous le paillasson
Le code secret est facile
La contraseña es obligatoria
La contraseña es incorrecta.
Olvidé mi contraseña ayer
La clave del éxito es la paciencia
La llave está debajo de la maceta
La password è sbagliata
La parola è d'argento
La parola chiave della frase
Ho dimenticato la password
A senha está errada
Esqueci a senha do banco
A chave está debaixo do tapete
Het wachtwoord is onjuist
Ik ben mijn wachtwoord vergeten
De sleutel ligt onder de mat
Hasło jest nieprawidłowe
Zapomniałem hasła do banku
Klucz leży pod wycieraczką
Пароль неверный
Я забыл пароль от почты
Пароль был изменён вчера
Ключ лежит под ковриком
Şifre yanlış
Şifremi unuttum
Anahtar paspasın altında
密码不对
我忘记了密码
密码是必填的
钥匙在门垫下面
パスワードを忘れました
パスワードは必要です
鍵はマットの下です
비밀번호를 잊어버렸어요
비밀번호가 틀렸습니다
열쇠는 매트 아래에 있어요
نسيت كلمة المرور
المفتاح تحت السجادة
commit 9f8e2a7c41d0b3658e7f1c2d3a4b5960f7e8d9ca
Merge: 9f8e2a7 41d0b36
sha256:9f8e2a7c41d0b3658e7f1c2d3a4b5960f7e8d9cab1a2c3d4e5f60718293a4b5c
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  go1.26.linux-amd64.tar.gz
github.com/rs/zerolog v1.34.0 h1:k43nTLIwcTVQAncfCw4KZ2VY6ukYoZaBPNOE8txlOeY=
"integrity": "sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg=="
550e8400-e29b-41d4-a716-446655440000
key 550e8400-e29b-41d4-a716-446655440000 of the row
0190d3b0-7c2e-7a54-8f3b-2d1c0a9b8e7f
data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==
![x](data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7)
call +49 30 1234567890 or +1 (555) 010-9999
Tel. 0049 170 1234567, Fax 0049 170 1234568
2026-11-28 09:12:44 2026-11-29 10:13:45
1764312345678 1764312345679 ms
1764312345678901234 ns
2026-11-28T09:12:44.123456789Z
order 4111 1111 1111 1112
invoice 20261128-0001-0002-0003
ISBN 978-3-16-148410-0
EAN 4006381333931
1234567890123456
v1.2.3-rc.4+20261128
https://example.org/a/b/c?d=e&f=1234567890#g
https://github.com/ownkey/ownkey/blob/main/internal/installation/installation.go#L24-L30
https://www.youtube.com/watch?v=dQw4w9WgXcQ
https://example.org:8443/path:with/colons@and
git@github.com:ownkey/ownkey.git
ssh://git@example.org/x
func TestQuestionsInsidePromptsAreAnsweredByPassages(t *testing.T) {
if err := json.Unmarshal(body, &answer); err != nil {
getUserAccountBalanceFromDatabaseConnectionPool2024()
APPLICATION_CONFIGURATION_DIRECTORY_PATH_2024
com.example.application.configuration.ConfigurationManagerFactoryBean
/usr/local/lib/python3.12/site-packages/numpy/core/_multiarray_umath.cpython-312-x86_64-linux-gnu.so
node_modules/@babel/plugin-transform-react-jsx-development/lib/index.js
const key = props.item.id + props.index
password := os.Getenv("DB_PASSWORD")
if password == "" { return errNoPassword }
token, err := jwt.Parse(raw)
type Token struct { Kind int }
apiKey: process.env.API_KEY
ClientSecret: clientSecret,
return x509ExchangedToken{}, x509ExchangeStatusError(ctx, response)
Password: env.Password,
it.pageInfo.Token = resp.GetNextPageToken()
IotHubSkuTierBasic IotHubSkuTier = "Basic"
Basic ManagedLabVMSize = "Basic"
for _, mdp := range joint.unaryHeaders {
secretKeyRef:
0x7ffee4c0a1b8 in main () at main.c:42
rgba(255,255,255,0.5) #a1b2c3
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
----------------------------------------
abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789
ABCDEFGHIJKLMNOPQRSTUVWXYZ234567
curl -u ada https://example.org
docker run -u 1000:1000 alpine
Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch
Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft
mem_0190d3b07c2e7a548f3b2d1c0a9b8e7f
req_011CSHoEeqs5C35K2UUqR7Fy
DE89 3704 0044 0532 0130 02
HTTP/1.1 200 OK
MCCXLVIII and XLII
`

func TestInnocentTextsStay(t *testing.T) {
	n := 0
	for text := range strings.Lines(innocentTexts) {
		text = strings.TrimSuffix(text, "\n")
		if text == "" {
			continue
		}
		n++
		if got := withoutSecrets(text); got != text {
			t.Errorf("%q becomes %q", text, got)
		}
	}
	if n < 120 {
		t.Errorf("%d texts", n)
	}
}
