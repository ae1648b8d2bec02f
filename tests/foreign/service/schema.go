package main

import (
	"context"
	"database/sql"
	"encoding/csv"
	"fmt"
	"io"
	"os"
)

// schema: money is integer hundredths. A DONE transfer has exactly two postings, a REJECTED one has none.
// seen holds what was answered for a request id, for 24 h; xfer keeps its request id for ever.
const schema = `
CREATE TABLE IF NOT EXISTS acct (
  iban TEXT PRIMARY KEY,
  ccy TEXT NOT NULL,
  opening INTEGER NOT NULL,
  balance INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS xfer (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  from_iban TEXT NOT NULL REFERENCES acct(iban),
  to_iban TEXT NOT NULL,
  request TEXT NOT NULL,
  hundredths INTEGER NOT NULL CHECK (hundredths > 0),
  ccy TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('DONE', 'REJECTED')),
  reason TEXT NOT NULL,
  at_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS xfer_by_request ON xfer (from_iban, request);
CREATE TABLE IF NOT EXISTS posting (
  no INTEGER PRIMARY KEY AUTOINCREMENT,
  xfer INTEGER NOT NULL REFERENCES xfer(no),
  iban TEXT NOT NULL REFERENCES acct(iban),
  hundredths INTEGER NOT NULL CHECK (hundredths <> 0),
  at_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS posting_by_xfer ON posting (xfer);
CREATE TABLE IF NOT EXISTS seen (
  from_iban TEXT NOT NULL,
  request TEXT NOT NULL,
  xfer INTEGER NOT NULL,
  at_ms INTEGER NOT NULL,
  PRIMARY KEY (from_iban, request)
) WITHOUT ROWID;
`

// seed adds the accounts of a CSV file (iban,opening,ccy) that the database does not have yet.
func seed(ctx context.Context, db *sql.DB, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	rows := csv.NewReader(file)
	rows.FieldsPerRecord = 3
	header, err := rows.Read()
	if err != nil || header[0] != "iban" || header[1] != "opening" || header[2] != "ccy" {
		return fmt.Errorf("%s: the first line must be iban,opening,ccy", path)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // harmless after a commit
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return tx.Commit()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		opening, err := parseUnits(row[1])
		if err != nil {
			return fmt.Errorf("%s: account %s: %w", path, row[0], err)
		}
		const insert = `INSERT OR IGNORE INTO acct (iban, ccy, opening, balance) VALUES (?, ?, ?, ?)`
		if _, err := tx.ExecContext(ctx, insert, row[0], row[2], opening, opening); err != nil {
			return err
		}
	}
}
