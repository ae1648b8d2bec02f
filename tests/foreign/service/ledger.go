package main

import (
	"context"
	"database/sql"
	"errors"
	"log"
	"net/url"
	"time"
)

const (
	waiting    = 256              // orders that may queue; more are told that we are busy
	batch      = 64               // orders that share one commit
	retention  = 24 * time.Hour   // how long a request id is remembered
	purgeEvery = time.Hour        // how often forgotten ones are removed
	noteEvery  = 30 * time.Second // version 1.3.2 only: how often request ids are written down
	patience   = "busy_timeout(2000)"
)

var (
	errBusy      = errors.New("busy, nothing was booked: try again")
	errNoAccount = errors.New("no such account")
	errReused    = errors.New("this request id was used for another transfer")
)

// Order is what a client asks for; its request id is scoped to the source account.
type Order struct {
	From, Request, To string
	Hundredths        int64
	Ccy               string
}

// Transfer is a decided order.
type Transfer struct {
	Order
	No     int64
	State  string
	Reason string
	AtMs   int64
}

type answer struct {
	transfer Transfer
	replayed bool
	err      error
}

type job struct {
	order Order
	reply chan answer
}

// Ledger books through one writer goroutine; readers have connections of their own (WAL).
type Ledger struct {
	write, read *sql.DB
	jobs        chan job
	closing     chan struct{}
	closed      chan struct{}
	now         func() time.Time
	lateNotes   bool // the defect of version 1.3.2
}

func dsn(path string) string {
	pragmas := url.Values{"_pragma": {patience, "journal_mode(wal)", "synchronous(normal)", "foreign_keys(on)"}}
	return "file:" + path + "?" + pragmas.Encode()
}

func openLedger(ctx context.Context, path, accounts string, lateNotes bool, now func() time.Time) (*Ledger, error) {
	write, err := sql.Open(driverName, dsn(path))
	if err != nil {
		return nil, err
	}
	write.SetMaxOpenConns(1)
	if _, err := write.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	if err := seed(ctx, write, accounts); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read, err := sql.Open(driverName, dsn(path))
	if err != nil {
		return nil, errors.Join(err, write.Close())
	}
	read.SetMaxOpenConns(4)
	read.SetMaxIdleConns(4)
	ledger := &Ledger{
		write: write, read: read, now: now, lateNotes: lateNotes,
		jobs: make(chan job, waiting), closing: make(chan struct{}), closed: make(chan struct{}),
	}
	book, err := openBook(ctx, write, now, lateNotes)
	if err != nil {
		return nil, errors.Join(err, read.Close(), write.Close())
	}
	go ledger.run(book)
	return ledger, nil
}

// Submit books an order once. It waits for the commit even if the client hangs up: the money has moved then.
func (ledger *Ledger) Submit(order Order) (Transfer, bool, error) {
	if ledger.lateNotes {
		// 1.3.2: looked up here, written down by the writer up to noteEvery later. A retry in between is not seen.
		if earlier, found, err := ledger.noted(order); err != nil || found {
			return earlier, found, err
		}
	}
	asked := job{order: order, reply: make(chan answer, 1)}
	select {
	case <-ledger.closing:
		return Transfer{}, false, errBusy
	default:
	}
	select {
	case ledger.jobs <- asked:
	default:
		return Transfer{}, false, errBusy
	}
	select {
	case got := <-asked.reply:
		return got.transfer, got.replayed, got.err
	case <-ledger.closed:
	}
	select {
	case got := <-asked.reply: // answered just before the writer ended
		return got.transfer, got.replayed, got.err
	default:
		return Transfer{}, false, errBusy
	}
}

// Close lets the writer finish what it holds, then closes the database.
func (ledger *Ledger) Close() error {
	close(ledger.closing)
	<-ledger.closed
	return errors.Join(ledger.read.Close(), ledger.write.Close())
}

func (ledger *Ledger) run(book *book) {
	defer close(ledger.closed)
	defer book.close()
	purge, note := time.NewTicker(purgeEvery), time.NewTicker(noteEvery)
	defer purge.Stop()
	defer note.Stop()
	for {
		select {
		case first := <-ledger.jobs:
			book.commit(ledger.gather(first))
		case <-note.C:
			report("note request ids", book.note())
		case <-purge.C:
			report("purge request ids", book.purge())
		case <-ledger.closing:
			for len(ledger.jobs) > 0 {
				book.commit(ledger.gather(<-ledger.jobs))
			}
			report("note request ids", book.note())
			return
		}
	}
}

// gather takes what waits already: under load many orders share a commit, alone none waits for company.
func (ledger *Ledger) gather(first job) []job {
	jobs := []job{first}
	for len(jobs) < batch {
		select {
		case next := <-ledger.jobs:
			jobs = append(jobs, next)
		default:
			return jobs
		}
	}
	return jobs
}

func report(what string, err error) {
	if err != nil {
		log.Printf("%s: %v", what, err)
	}
}
