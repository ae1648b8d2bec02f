package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	rich   = "XX01TEST0000000001"
	other  = "XX02TEST0000000002"
	yankee = "XX03TEST0000000003"
)

type clock struct{ ms atomic.Int64 }

func (c *clock) now() time.Time          { return time.UnixMilli(c.ms.Load()) }
func (c *clock) forward(d time.Duration) { c.ms.Add(d.Milliseconds()) }

func newLedger(t *testing.T, bug bool) (*Ledger, *clock) {
	t.Helper()
	folder := t.TempDir()
	accounts := filepath.Join(folder, "accounts.csv")
	rows := "iban,opening,ccy\n" + rich + ",100.00,EUR\n" + other + ",0.00,EUR\n" + yankee + ",5.00,USD\n"
	if err := os.WriteFile(accounts, []byte(rows), 0o600); err != nil {
		t.Fatal(err)
	}
	ticking := &clock{}
	ticking.ms.Store(1_700_000_000_000)
	ledger, err := openLedger(context.Background(), filepath.Join(folder, "t.db"), accounts, bug, ticking.now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := ledger.Close(); err != nil {
			t.Error(err)
		}
	})
	return ledger, ticking
}

func order(request string, hundredths int64) Order {
	return Order{From: rich, Request: request, To: other, Hundredths: hundredths, Ccy: "EUR"}
}

func balance(t *testing.T, ledger *Ledger, iban string) int64 {
	t.Helper()
	account, err := ledger.Account(context.Background(), iban)
	if err != nil {
		t.Fatal(err)
	}
	return account.Balance
}

func TestUnitsAreReadWithoutFloats(t *testing.T) {
	for text, want := range map[string]int64{"12.34": 1234, "0.1": 10, "7": 700, "0.07": 7} {
		if got, err := parseUnits(text); err != nil || got != want {
			t.Errorf("parseUnits(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".5", "1.", "1.234", "-1", "1e3", " 1", "1,5", "1234567890123"} {
		if got, err := parseUnits(text); err == nil {
			t.Errorf("parseUnits(%q) = %d; want an error", text, got)
		}
	}
	if got := formatUnits(-1205); got != "-12.05" {
		t.Errorf("formatUnits(-1205) = %s", got)
	}
}

func TestATransferMovesMoneyInTwoPostingsThatCancelOut(t *testing.T) {
	ledger, _ := newLedger(t, false)
	decided, replayed, err := ledger.Submit(order("a", 1234))
	if err != nil || replayed || decided.State != "DONE" {
		t.Fatalf("%+v, %v, %v", decided, replayed, err)
	}
	if from, to := balance(t, ledger, rich), balance(t, ledger, other); from != 8766 || to != 1234 {
		t.Errorf("balances %d and %d", from, to)
	}
	var count, sum int64
	if err := ledger.read.QueryRow(`SELECT count(*), sum(hundredths) FROM posting`).Scan(&count, &sum); err != nil {
		t.Fatal(err)
	}
	if count != 2 || sum != 0 {
		t.Errorf("%d postings, sum %d", count, sum)
	}
}

func TestWhatCannotBePaidIsRejectedAndMovesNothing(t *testing.T) {
	ledger, _ := newLedger(t, false)
	for reason, asked := range map[string]Order{
		"INSUFFICIENT_FUNDS":  order("a", 10001),
		"UNKNOWN_BENEFICIARY": {rich, "b", "XX99NOBODY", 1, "EUR"},
		"CURRENCY_MISMATCH":   {rich, "c", yankee, 1, "EUR"},
		"SAME_ACCOUNT":        {rich, "d", rich, 1, "EUR"},
	} {
		if decided, _, err := ledger.Submit(asked); err != nil || decided.State != "REJECTED" || decided.Reason != reason {
			t.Errorf("want %s: %+v, %v", reason, decided, err)
		}
	}
	if left := balance(t, ledger, rich); left != 10000 {
		t.Errorf("balance %d", left)
	}
}

func TestARequestIdIsScopedToTheSourceAccountAndRefusesAnotherBody(t *testing.T) {
	ledger, _ := newLedger(t, false)
	first, _, _ := ledger.Submit(order("a", 100))
	again, replayed, err := ledger.Submit(order("a", 100))
	if err != nil || !replayed || again.No != first.No {
		t.Errorf("replay: %+v, %v, %v", again, replayed, err)
	}
	if _, _, err := ledger.Submit(order("a", 101)); err != errReused {
		t.Errorf("another body: %v", err)
	}
	if _, replayed, err := ledger.Submit(Order{other, "a", rich, 100, "EUR"}); err != nil || replayed {
		t.Errorf("another account: %v, %v", replayed, err)
	}
}

func TestARequestIdIsForgottenAfterADay(t *testing.T) {
	ledger, ticking := newLedger(t, false)
	first, _, _ := ledger.Submit(order("a", 100))
	ticking.forward(retention - time.Millisecond)
	if again, replayed, _ := ledger.Submit(order("a", 100)); !replayed || again.No != first.No {
		t.Error("forgotten too early")
	}
	ticking.forward(time.Millisecond)
	if again, replayed, _ := ledger.Submit(order("a", 100)); replayed || again.No == first.No {
		t.Error("still remembered after a day")
	}
}

// submitTogether sends one order several times at once and returns what the source account has lost.
func submitTogether(t *testing.T, ledger *Ledger) int64 {
	t.Helper()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, _, err := ledger.Submit(order("same", 100)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	return 10000 - balance(t, ledger, rich)
}

func TestConcurrentRetriesMoveTheMoneyOnce(t *testing.T) {
	ledger, _ := newLedger(t, false)
	if lost := submitTogether(t, ledger); lost != 100 {
		t.Errorf("lost %d", lost)
	}
}

func TestVersion132MovesTheMoneyForEachRetry(t *testing.T) {
	ledger, _ := newLedger(t, true)
	if lost := submitTogether(t, ledger); lost != 800 {
		t.Errorf("lost %d", lost)
	}
}

func TestOutcomesStandInTheBodyAndTheSessionInAHeader(t *testing.T) {
	ledger, ticking := newLedger(t, false)
	web := httptest.NewServer(api{ledger, desk{"me", "word", ticking.now}, "test"}.handler())
	defer web.Close()
	put := func(session, units string) *http.Response {
		body := fmt.Sprintf(`{"to": %q, "value": {"units": %q, "ccy": "EUR"}}`, other, units)
		request, _ := http.NewRequest("PUT", web.URL+"/accounts/"+rich+"/transfers/r"+units, strings.NewReader(body))
		request.Header.Set("X-Session", session)
		got, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = got.Body.Close() })
		return got
	}
	opened, err := http.PostForm(web.URL+"/session", url.Values{"client_id": {"me"}, "secret": {"word"}})
	if err != nil || opened.StatusCode != http.StatusNoContent {
		t.Fatalf("%v, %v", opened, err)
	}
	session := opened.Header.Get("X-Session")
	if got := put("", "1.00"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a session: %s", got.Status)
	}
	if got := put(session, "1.00"); got.StatusCode != http.StatusOK || got.Header.Get("Replayed") != "" {
		t.Errorf("first: %s %v", got.Status, got.Header)
	}
	if got := put(session, "1.00"); got.StatusCode != http.StatusOK || got.Header.Get("Replayed") != "yes" {
		t.Errorf("replay: %s %v", got.Status, got.Header)
	}
	if got := put(session, "1.005"); got.StatusCode != http.StatusBadRequest {
		t.Errorf("three decimals: %s", got.Status)
	}
	ticking.forward(sessionLife)
	if got := put(session, "2.00"); got.StatusCode != http.StatusUnauthorized {
		t.Errorf("an hour later: %s", got.Status)
	}
}
