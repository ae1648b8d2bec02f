package main

import (
	"context"
	"database/sql"
)

// Account is one row of acct.
type Account struct {
	Iban, Ccy        string
	Opening, Balance int64
}

type bound struct {
	db   *sql.DB
	text string
}

func (b bound) QueryRow(args ...any) *sql.Row { return b.db.QueryRow(b.text, args...) }

func (ledger *Ledger) noted(order Order) (Transfer, bool, error) {
	return recall(order, bound{ledger.read, findSeen}, bound{ledger.read, findXfer}, ledger.now())
}

// Account reads one account; sql.ErrNoRows if there is none.
func (ledger *Ledger) Account(ctx context.Context, iban string) (Account, error) {
	var read Account
	err := ledger.read.QueryRowContext(ctx, `SELECT iban, ccy, opening, balance FROM acct WHERE iban = ?`, iban).
		Scan(&read.Iban, &read.Ccy, &read.Opening, &read.Balance)
	return read, err
}

// Transfer reads one transfer; sql.ErrNoRows if there is none.
func (ledger *Ledger) Transfer(ctx context.Context, no int64) (Transfer, error) {
	return scanTransfer(ledger.read.QueryRowContext(ctx, findXfer, no))
}

// ByRequest lists the transfers that an account has made under one request id: at most one, if all is well.
func (ledger *Ledger) ByRequest(ctx context.Context, from, request string) ([]Transfer, error) {
	return ledger.list(ctx, `SELECT `+columns+` FROM xfer WHERE from_iban = ? AND request = ? ORDER BY no LIMIT 100`,
		from, request)
}

// After lists up to limit transfers with a number above no.
func (ledger *Ledger) After(ctx context.Context, no int64, limit int) ([]Transfer, error) {
	return ledger.list(ctx, `SELECT `+columns+` FROM xfer WHERE no > ? ORDER BY no LIMIT ?`, no, limit)
}

func (ledger *Ledger) list(ctx context.Context, query string, args ...any) ([]Transfer, error) {
	rows, err := ledger.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	found := []Transfer{}
	for rows.Next() {
		one, err := scanTransfer(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, one)
	}
	return found, rows.Err()
}
