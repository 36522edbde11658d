// Command fakeprovider runs the double on its own, for a gateway in another
// process: ownkey dev --provider openai=http://127.0.0.1:9999/v1.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ownkey/ownkey/internal/fakeprovider"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:9999", "address, `HOST:PORT`; port 0 picks a free one")
	key := flag.String("key", "", "the only credential to accept; any if empty")
	flag.Parse()
	var o fakeprovider.Options
	if *key != "" {
		o.Keys = []string{*key}
	}
	s, err := fakeprovider.Start(*listen, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.URL())
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)
	<-stop
	_ = s.Close()
}
