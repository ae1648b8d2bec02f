package main

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

const (
	findSeen   = `SELECT xfer FROM seen WHERE from_iban = ? AND request = ? AND at_ms > ?`
	insertSeen = `INSERT OR REPLACE INTO seen (from_iban, request, xfer, at_ms) VALUES (?, ?, ?, ?)`
	columns    = `no, from_iban, to_iban, request, hundredths, ccy, state, reason, at_ms`
	findXfer   = `SELECT ` + columns + ` FROM xfer WHERE no = ?`
)

// book is what the writer goroutine owns: one connection and its prepared statements.
type book struct {
	conn      *sql.Conn
	now       func() time.Time
	lateNotes bool
	notes     []Transfer // 1.3.2: booked, but their request ids are not written down yet

	seen, xfer, acct, insertXfer, insertPosting, move, insertSeen *sql.Stmt
}

func openBook(ctx context.Context, db *sql.DB, now func() time.Time, lateNotes bool) (*book, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	opened := &book{conn: conn, now: now, lateNotes: lateNotes}
	for _, statement := range []struct {
		into **sql.Stmt
		text string
	}{
		{&opened.seen, findSeen},
		{&opened.xfer, findXfer},
		{&opened.acct, `SELECT ccy, balance FROM acct WHERE iban = ?`},
		{&opened.insertXfer, `INSERT INTO xfer (from_iban, to_iban, request, hundredths, ccy, state, reason, at_ms)
		                      VALUES (?, ?, ?, ?, ?, ?, ?, ?)`},
		{&opened.insertPosting, `INSERT INTO posting (xfer, iban, hundredths, at_ms) VALUES (?, ?, ?, ?)`},
		{&opened.move, `UPDATE acct SET balance = balance + ? WHERE iban = ?`},
		{&opened.insertSeen, insertSeen},
	} {
		if *statement.into, err = conn.PrepareContext(ctx, statement.text); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return opened, nil
}

func (b *book) close() {
	report("close the book", b.conn.Close())
}

// commit decides the jobs in one transaction and answers only when it is on disk. If it fails, nothing was booked.
func (b *book) commit(jobs []job) {
	answers := make([]answer, len(jobs))
	err := b.within(func() error {
		for i, asked := range jobs {
			answers[i] = b.decide(asked.order)
			if fault := answers[i].err; fault != nil && !errors.Is(fault, errNoAccount) && !errors.Is(fault, errReused) {
				return fault
			}
		}
		return nil
	})
	report("commit", err)
	for i, asked := range jobs {
		switch {
		case err != nil:
			answers[i] = answer{err: errBusy}
		case b.lateNotes && answers[i].err == nil:
			b.notes = append(b.notes, answers[i].transfer)
		}
		asked.reply <- answers[i]
	}
}

func (b *book) within(work func() error) error {
	ctx := context.Background()
	if _, err := b.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := work()
	if err == nil {
		_, err = b.conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		_, undo := b.conn.ExecContext(ctx, "ROLLBACK")
		return errors.Join(err, undo)
	}
	return nil
}

func (b *book) decide(order Order) answer {
	at := b.now()
	if !b.lateNotes {
		earlier, found, err := recall(order, b.seen, b.xfer, at)
		if err != nil || found {
			return answer{transfer: earlier, replayed: found, err: err}
		}
	}
	var ccy string
	var balance int64
	if err := b.acct.QueryRow(order.From).Scan(&ccy, &balance); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			err = errNoAccount
		}
		return answer{err: err}
	}
	var otherCcy string
	var otherBalance int64
	err := b.acct.QueryRow(order.To).Scan(&otherCcy, &otherBalance)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return answer{err: err}
	}
	decided := Transfer{Order: order, State: "REJECTED", AtMs: at.UnixMilli()}
	switch {
	case err != nil:
		decided.Reason = "UNKNOWN_BENEFICIARY"
	case order.From == order.To:
		decided.Reason = "SAME_ACCOUNT"
	case order.Ccy != ccy || order.Ccy != otherCcy:
		decided.Reason = "CURRENCY_MISMATCH"
	case balance < order.Hundredths:
		decided.Reason = "INSUFFICIENT_FUNDS"
	default:
		decided.State = "DONE"
	}
	err = b.post(&decided)
	return answer{transfer: decided, err: err}
}

// post writes the transfer, its two postings and, since 1.4.0, its request id: all or nothing.
func (b *book) post(decided *Transfer) error {
	result, err := b.insertXfer.Exec(decided.From, decided.To, decided.Request, decided.Hundredths, decided.Ccy,
		decided.State, decided.Reason, decided.AtMs)
	if err != nil {
		return err
	}
	if decided.No, err = result.LastInsertId(); err != nil {
		return err
	}
	if decided.State == "DONE" {
		for _, leg := range []struct {
			iban       string
			hundredths int64
		}{{decided.From, -decided.Hundredths}, {decided.To, decided.Hundredths}} {
			if _, err := b.insertPosting.Exec(decided.No, leg.iban, leg.hundredths, decided.AtMs); err != nil {
				return err
			}
			if _, err := b.move.Exec(leg.hundredths, leg.iban); err != nil {
				return err
			}
		}
	}
	if b.lateNotes {
		return nil
	}
	return b.remember(*decided)
}

func (b *book) remember(decided Transfer) error {
	_, err := b.insertSeen.Exec(decided.From, decided.Request, decided.No, decided.AtMs)
	return err
}

// note writes down the request ids that 1.3.2 has put off.
func (b *book) note() error {
	if len(b.notes) == 0 {
		return nil
	}
	err := b.within(func() error {
		for _, decided := range b.notes {
			if err := b.remember(decided); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		b.notes = nil
	}
	return err
}

func (b *book) purge() error {
	_, err := b.conn.ExecContext(context.Background(), `DELETE FROM seen WHERE at_ms <= ?`,
		b.now().Add(-retention).UnixMilli())
	return err
}

type rowQuery interface {
	QueryRow(args ...any) *sql.Row
}

// recall finds what was answered for a request id within the retention; another body under it is an error.
func recall(order Order, seen, xfer rowQuery, at time.Time) (Transfer, bool, error) {
	var no int64
	err := seen.QueryRow(order.From, order.Request, at.Add(-retention).UnixMilli()).Scan(&no)
	if errors.Is(err, sql.ErrNoRows) {
		return Transfer{}, false, nil
	}
	if err != nil {
		return Transfer{}, false, err
	}
	earlier, err := scanTransfer(xfer.QueryRow(no))
	if err == nil && earlier.Order != order {
		err = errReused
	}
	return earlier, true, err
}

func scanTransfer(row interface{ Scan(into ...any) error }) (Transfer, error) {
	var read Transfer
	err := row.Scan(&read.No, &read.From, &read.To, &read.Request, &read.Hundredths, &read.Ccy,
		&read.State, &read.Reason, &read.AtMs)
	return read, err
}
