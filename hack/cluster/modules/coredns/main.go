// A CoreDNS with only the plugins that cluster DNS needs: it compiles in a
// fraction of the time of the full one.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/health"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/template"
)

func main() {
	// A query passes the plugins in this order, whatever the Corefile's is.
	dnsserver.Directives = []string{"ready", "health", "errors", "cache", "kubernetes", "template"}
	coremain.Run()
}
