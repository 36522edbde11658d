package memory

import (
	"regexp"
	"strings"
)

// tokens are credentials that can be known by their looks alone: the formats
// that their issuers document, as far as GitHub's secret scanning and gitleaks
// list them (2026-11). They have no characters but those of ofTokens, and at least
// shortestToken of them.
var tokens = regexp.MustCompile(strings.Join([]string{
	`\boka?_[0-9A-Za-z]{20,}`,                                // ours
	`\bsk-[0-9A-Za-z_-]{16,}`,                                // OpenAI, Anthropic, OpenRouter, DeepSeek
	`\b(?:gsk|hf|r8|fw|tgp_v1|csk|sm)[_-][0-9A-Za-z_-]{20,}`, // Groq, Hugging Face, Replicate, Fireworks, Together, Cerebras, supermemory
	`\b(?:xai|pplx|nvapi)-[0-9A-Za-z_-]{20,}`,                // xAI, Perplexity, NVIDIA
	`\b[prs]k_(?:live|test)_[0-9A-Za-z]{16,}`,                // Stripe
	`\bwhsec_[0-9A-Za-z+/]{20,}=*`,
	`\bgh[pousr]_[0-9A-Za-z]{30,}`, // GitHub
	`\bgithub_pat_[0-9A-Za-z_]{30,}`,
	`\bgl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[0-9A-Za-z_-]{20,}`, // GitLab
	`\bhv[sbr]\.[0-9A-Za-z_-]{20,}`,                                  // Vault
	`\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b`,                        // AWS
	`\bAIza[0-9A-Za-z_-]{35}`,                                        // Google
	`\bya29\.[0-9A-Za-z_-]{20,}`,
	`\bGOCSPX-[0-9A-Za-z_-]{20,}`,
	`\bxox[a-z](?:\.[a-z]+)?-[0-9A-Za-z-]{10,}`, // Slack
	`\bxapp-[0-9A-Za-z-]{20,}`,
	`https://hooks\.slack\.com/[a-z]+/[0-9A-Za-z/_-]{20,}`,
	`https://(?:[a-z]+\.)?discord(?:app)?\.com/api/webhooks/[0-9]+/[0-9A-Za-z_-]{20,}`,
	`\bSG\.[0-9A-Za-z_-]{16,}(?:\.[0-9A-Za-z_-]{16,})?`, // SendGrid
	`\bkey-[0-9a-f]{32}\b`,                              // Mailgun
	`\bnpm_[0-9A-Za-z]{36}`,
	`\bpypi-[0-9A-Za-z_-]{32,}`,
	`\bdckr_pat_[0-9A-Za-z_-]{20,}`,
	`\bdo[opr]_v1_[0-9a-f]{40,}`,                             // DigitalOcean
	`\bshp(?:at|ca|pa|ss)_[0-9A-Fa-f]{32}`,                   // Shopify
	`\bsq0(?:atp|csp)-[0-9A-Za-z_-]{20,}`,                    // Square
	`\b(?:ntn|figd|glc|sntrys|sntryu)_[0-9A-Za-z_=+/-]{30,}`, // Notion, Figma, Grafana, Sentry
	`\blin_api_[0-9A-Za-z]{30,}`,
	`\bATATT3[0-9A-Za-z_=-]{20,}`, // Atlassian
	`\bdapi[0-9a-f]{32}\b`,        // Databricks
	`\bPMAK-[0-9a-f]{24}-[0-9a-f]{34}`,
	`\bAGE-SECRET-KEY-1[0-9A-Z]{40,}`,
	`\b[0-9]{8,10}:AA[0-9A-Za-z_-]{33}`,                              // Telegram
	`\beyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{5,}`, // JSON web tokens
	`\b(?:AccountKey|SharedAccessKey)=[0-9A-Za-z+/]{20,}=*`,          // Azure
	`\bSK[0-9a-f]{32}\b`,                                             // Twilio
	`\b1//0[0-9A-Za-z_-]{30,}`,
	`\bdp\.(?:pt|st|ct|sa|scim|audit)\.[0-9A-Za-z._-]{40,}`, // Doppler
	`\bpul-[0-9a-f]{40}`,                                    // Pulumi
	`\bAT(?:BB|CTT3)[0-9A-Za-z_=-]{24,}`,
	`\bHRKU-[0-9A-Za-z_-]{30,}`, // Heroku
	`\brubygems_[0-9a-f]{48}`,
	`\bnfp_[0-9A-Za-z]{36}`,                              // Netlify
	`\bsbp_[0-9a-f]{40}|\bsb_secret_[0-9A-Za-z_-]{20,}`,  // Supabase
	`\bpat[0-9A-Za-z]{14}\.[0-9a-f]{64}`,                 // Airtable
	`\bpat-[a-z]{2}[0-9]-[0-9a-f-]{36}`,                  // HubSpot
	`\bEAA[0-9A-Za-z]{60,}|\bEAAA[0-9A-Za-z_-]{60}`,      // Meta, Square
	`\bxkeysib-[0-9a-f]{64}-[0-9A-Za-z]{16}`,             // Brevo
	`\b[0-9a-f]{32}-us[0-9]{1,2}\b`,                      // Mailchimp
	`\bsecret_[0-9A-Za-z]{40,}`,                          // Notion, before 2024
	`\bNR(?:AK|II|JS|BR)-[0-9A-Z_-]{19,}`,                // New Relic
	`\bphx_[0-9A-Za-z]{40,}`,                             // PostHog
	`\b[0-9A-Za-z]{14}\.atlasv1\.[0-9A-Za-z_=-]{60,}`,    // Terraform
	`\bglsa_[0-9A-Za-z]{32}_[0-9a-f]{8}`,                 // Grafana
	`\bLTAI[0-9A-Za-z]{12,24}\b|\bAKID[0-9A-Za-z]{32}\b`, // Alibaba, Tencent
	`\bjina_[0-9A-Za-z_-]{40,}|\btvly-[0-9A-Za-z-]{20,}`,
	`\blsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}`, // LangSmith
	`\bpcsk_[0-9A-Za-z_]{40,}`,                   // Pinecone
	`\bshippo_(?:live|test)_[0-9a-f]{40}`,
	`\baccess-(?:sandbox|development|production)-[0-9a-f-]{36}`, // Plaid
	`\bCFPAT-[0-9A-Za-z_-]{43}`,                                 // Contentful
	`\bfo1_[0-9A-Za-z_-]{43}|\bfm[12]_[0-9A-Za-z+/=_-]{100,}`,   // Fly
	`\bv1\.0-[0-9a-f]{24}-[0-9a-f]{100,}`,                       // Cloudflare
	`\b[0-9A-Za-z_~.]{3}8Q~[0-9A-Za-z_~.-]{31,34}`,              // Microsoft Entra
	`\bsk_[0-9a-f]{40,}`,                                        // ElevenLabs
	`https://[0-9a-z.-]+\.webhook\.office\.com/webhookb2/[0-9A-Za-z/@_-]{20,}`,
	`[?&](?:sig|X-Amz-Signature|X-Goog-Signature)=[0-9A-Za-z%+/_-]{20,}`, // signed addresses
}, "|"))

const shortestToken = len("xoxb-0123456789")

// ofTokens are the characters of tokens.
var ofTokens = func() (all [256]bool) {
	for _, c := range []byte("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_+/=.%:?&-") {
		all[c] = true
	}
	return all
}()
