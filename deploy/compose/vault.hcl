# Vault of compose.yaml. In clear, because nothing outside of the containers'
# network reaches it.
storage "file" {
  path = "/vault/file"
}
listener "tcp" {
  address     = "0.0.0.0:8200"
  tls_disable = true
}
api_addr = "http://vault:8200"
