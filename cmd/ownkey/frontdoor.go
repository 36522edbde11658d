package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/ownkey/ownkey/config"
	"github.com/ownkey/ownkey/internal/secretfile"
	"github.com/rs/zerolog"
)

// certificateLook is how often the files of the certificate are looked at, at
// most.
const certificateLook = time.Second

// certificate is what the data plane shows to clients. It follows its files:
// who renews them need not restart the gateway. A pair that can not be read,
// or does not fit, changes nothing; the log says so.
type certificate struct {
	files config.TLS
	log   *zerolog.Logger

	mu      sync.Mutex
	looked  time.Time
	stamps  [3]time.Time // of the files, when they were read
	current *tls.Config
}

// openCertificate reads the files for the first time; nil for plain HTTP.
func openCertificate(files config.TLS, log *zerolog.Logger) (*tls.Config, error) {
	if files.CertFile == "" {
		return nil, nil
	}
	c := &certificate{files: files, log: log, looked: time.Now()}
	var err error
	if c.stamps, err = c.look(); err != nil {
		return nil, err
	}
	if c.current, err = c.read(); err != nil {
		return nil, err
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: c.forClient}, nil
}

// forClient gives what counts now.
func (c *certificate) forClient(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certificateLook {
		c.looked = now
		c.follow()
	}
	return c.current, nil
}

// follow reads the files again if they have changed.
func (c *certificate) follow() {
	stamps, err := c.look()
	if err == nil && stamps == c.stamps {
		return
	}
	var next *tls.Config
	if err == nil {
		c.stamps = stamps
		next, err = c.read()
	}
	if err != nil {
		c.log.Error().Err(err).Msg("cannot use the changed certificate; the one before goes on")
		return
	}
	c.current = next
	c.log.Info().Msg("the certificate has changed")
}

func (c *certificate) look() (stamps [3]time.Time, err error) {
	for i, file := range []string{c.files.CertFile, c.files.KeyFile, c.files.ClientCAFile} {
		if file == "" {
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			return stamps, fmt.Errorf("cannot read tls: %w", err)
		}
		stamps[i] = info.ModTime()
	}
	return stamps, nil
}

// readPair reads a certificate and its key, which is a secret.
func readPair(certFile, keyFile string) (pair tls.Certificate, err error) {
	certificate, err := os.ReadFile(certFile)
	if err != nil {
		return pair, err
	}
	key, err := secretfile.Read(keyFile)
	if err != nil {
		return pair, err
	}
	defer clear(key)
	return tls.X509KeyPair(certificate, key)
}

func (c *certificate) read() (*tls.Config, error) {
	pair, err := readPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot use tls.cert_file with tls.key_file: %w", err)
	}
	next := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if c.files.ClientCAFile == "" {
		return next, nil
	}
	pem, err := os.ReadFile(c.files.ClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("cannot read tls.client_ca_file: %w", err)
	}
	next.ClientCAs, next.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !next.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, errors.New("cannot use tls.client_ca_file: it holds no certificate")
	}
	return next, nil
}
