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
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/rs/zerolog"
)

// certificateLook is how often the files of the certificate are looked at, at
// most.
const certificateLook = time.Second

// certificate is what a plane shows to its clients. It follows its files, so
// that a renewal needs no restart. A pair that cannot be read, does not fit, is
// not valid now, or leads nowhere where the one before led to a root that the
// system knows, changes nothing; the log says so.
type certificate struct {
	files config.TLS
	roots *x509.CertPool // nil for the system's
	log   *zerolog.Logger

	mu      sync.Mutex
	looked  time.Time
	stamps  [3]time.Time // of the files, when they were read
	current *certified
}

// certified is a configuration with what is known of its certificate.
type certified struct {
	config  *tls.Config
	ends    time.Time
	trusted bool // its chain leads to a root that the system knows
}

// openCertificate reads a plane's files for the first time; nil for plain HTTP.
func (a *app) openCertificate(plane string, files config.TLS) (*tls.Config, error) {
	if files.CertFile == "" {
		return nil, nil
	}
	c := &certificate{files: files, log: a.log, looked: time.Now()}
	var err error
	if c.stamps, err = c.look(); err != nil {
		return nil, err
	}
	if c.current, err = c.read(time.Now()); err != nil {
		return nil, err
	}
	if !c.current.trusted {
		c.log.Warn().Str("plane", plane).Msg("the certificate leads to no root that this system knows: its authority is private, or cert_file lacks the intermediate certificates")
	}
	promauto.With(a.metrics).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ownkey_certificate_not_after_timestamp_seconds", ConstLabels: prometheus.Labels{"plane": plane},
		Help: "When the certificate that a plane shows to its clients ends, as Unix time.",
	}, func() float64 { return float64(c.now().ends.Unix()) })
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: c.forClient}, nil
}

// forClient gives what counts now.
func (c *certificate) forClient(*tls.ClientHelloInfo) (*tls.Config, error) {
	return c.now().config, nil
}

// now looks at the files, if that was not done just before.
func (c *certificate) now() *certified {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certificateLook {
		c.looked = now
		c.follow(now)
	}
	return c.current
}

// follow reads the files again if they have changed.
func (c *certificate) follow(now time.Time) {
	stamps, err := c.look()
	if err == nil && stamps == c.stamps {
		return
	}
	var next *certified
	if err == nil {
		c.stamps = stamps
		next, err = c.read(now)
	}
	if err == nil && c.current.trusted && !next.trusted {
		err = errors.New("its chain leads to no root that this system knows, as the one before does: are intermediate certificates missing?")
	}
	if err != nil {
		c.log.Error().Err(err).Time("current_ends", c.current.ends).Msg("cannot use the changed certificate; the one before goes on")
		return
	}
	c.current = next
	c.log.Info().Time("ends", next.ends).Msg("the certificate has changed")
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

// read reads the files and judges what they hold.
func (c *certificate) read(now time.Time) (*certified, error) {
	pair, err := readPair(c.files.CertFile, c.files.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("cannot use tls.cert_file with tls.key_file: %w", err)
	}
	trusted, err := judge(pair, c.roots, now)
	if err != nil {
		return nil, fmt.Errorf("cannot use tls.cert_file %s: %w", c.files.CertFile, err)
	}
	next := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if c.files.ClientCAFile != "" {
		if next.ClientCAs, err = readRoots(c.files.ClientCAFile); err != nil {
			return nil, fmt.Errorf("tls.client_ca_file: %w", err)
		}
		next.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return &certified{next, pair.Leaf.NotAfter, trusted}, nil
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

// judge refuses a certificate that no client can take: one that is not valid
// now, or whose chain is out of order. It reports whether the chain leads to a
// root that the system knows. That it does not is no error: authorities may be
// private, and their roots are not in the file.
func judge(pair tls.Certificate, roots *x509.CertPool, now time.Time) (trusted bool, err error) {
	intermediates := x509.NewCertPool()
	below := pair.Leaf
	for _, der := range pair.Certificate[1:] {
		above, err := x509.ParseCertificate(der)
		if err != nil {
			return false, err
		}
		if err := below.CheckSignatureFrom(above); err != nil {
			return false, fmt.Errorf("the chain is out of order: %q is not signed by %q, which follows it", below.Subject.CommonName, above.Subject.CommonName)
		}
		intermediates.AddCert(above)
		below = above
	}
	switch leaf := pair.Leaf; {
	case now.After(leaf.NotAfter):
		return false, fmt.Errorf("it ended on %s", leaf.NotAfter.UTC().Format(time.RFC3339))
	case now.Before(leaf.NotBefore):
		return false, fmt.Errorf("it begins on %s only", leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	_, verr := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now})
	return verr == nil, nil
}
