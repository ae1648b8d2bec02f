// Command remit is a small payment service over SQLite. See ../README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
)

// source is the hash of the sources, set by build.sh.
var source = "dev"

const (
	repaired = "1.4.0"
	defect   = "1.3.2"
)

func main() {
	port := flag.Int("port", 8600, "port on 127.0.0.1; 0 takes a free one and prints it")
	db := flag.String("db", "remit.db", "the SQLite file; made when absent")
	accounts := flag.String("accounts", "accounts.csv", "accounts to start with: iban,opening,ccy")
	client := flag.String("client-id", "paydesk", "the client that may log in")
	secret := flag.String("secret", "open-sesame", "its secret")
	bug := flag.String("bug", "none", "none or double-charge")
	flag.Parse()
	if *bug != "none" && *bug != "double-charge" {
		fmt.Fprintf(os.Stderr, "remit: --bug is none or double-charge, not %q\n", *bug)
		os.Exit(2)
	}
	build := repaired
	if *bug == "double-charge" {
		build = defect
	}
	if err := serve(*port, *db, *accounts, desk{*client, *secret, time.Now}, build); err != nil {
		fmt.Fprintf(os.Stderr, "remit: %v\n", err)
		os.Exit(1)
	}
}

func serve(port int, db, accounts string, who desk, build string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	ledger, err := openLedger(ctx, db, accounts, build == defect, time.Now)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return errors.Join(err, ledger.Close())
	}
	web := &http.Server{
		Handler:           api{ledger: ledger, desk: who, build: build + "+" + source}.handler(),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	log.Printf("remit %s+%s listens on %s", build, source, listener.Addr())
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(listener) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		limit, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		err = web.Shutdown(limit)
	}
	return errors.Join(err, ledger.Close())
}
