package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"strconv"
	"time"
)

const (
	bodyLimit = 4096
	pageLimit = 500
)

type value struct {
	Units string `json:"units"`
	Ccy   string `json:"ccy"`
}

type posting struct {
	Iban  string `json:"iban"`
	Units string `json:"units"`
}

type transferView struct {
	No       int64     `json:"no"`
	Request  string    `json:"request"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Value    value     `json:"value"`
	State    string    `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	At       string    `json:"at"`
	Postings []posting `json:"postings,omitempty"`
}

func view(from Transfer) transferView {
	return transferView{
		No: from.No, Request: from.Request, From: from.From, To: from.To,
		Value: value{formatUnits(from.Hundredths), from.Ccy}, State: from.State, Reason: from.Reason,
		At: time.UnixMilli(from.AtMs).UTC().Format("2006-01-02T15:04:05.000Z"),
	}
}

func views(from []Transfer) []transferView {
	shown := make([]transferView, 0, len(from))
	for _, one := range from {
		shown = append(shown, view(one))
	}
	return shown
}

type api struct {
	ledger *Ledger
	desk   desk
	build  string
}

func (a api) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", a.status)
	mux.HandleFunc("POST /session", a.session)
	mux.HandleFunc("PUT /accounts/{from}/transfers/{request}", a.guarded(a.put))
	mux.HandleFunc("GET /accounts/{from}/transfers", a.guarded(a.byRequest))
	mux.HandleFunc("GET /accounts/{iban}", a.guarded(a.account))
	mux.HandleFunc("GET /transfers/{no}", a.guarded(a.transfer))
	mux.HandleFunc("GET /export/ledger", a.guarded(a.export))
	return mux
}

func (a api) guarded(inner http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := a.desk.check(r.Header.Get("X-Session")); err != nil {
			refuse(w, http.StatusUnauthorized, err)
			return
		}
		inner(w, r)
	}
}

func (a api) status(w http.ResponseWriter, r *http.Request) {
	if err := a.ledger.read.PingContext(r.Context()); err != nil {
		refuse(w, http.StatusServiceUnavailable, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"service": "remit", "state": "UP", "build": a.build})
}

func (a api) session(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, bodyLimit)
	token, err := a.desk.open(r.PostFormValue("client_id"), r.PostFormValue("secret"))
	if err != nil {
		refuse(w, http.StatusForbidden, err)
		return
	}
	w.Header().Set("X-Session", token)
	w.WriteHeader(http.StatusNoContent)
}

func (a api) put(w http.ResponseWriter, r *http.Request) {
	var body struct {
		To    string `json:"to"`
		Value value  `json:"value"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyLimit)).Decode(&body); err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	hundredths, err := parseUnits(body.Value.Units)
	if err == nil && (hundredths == 0 || len(body.Value.Ccy) != 3 || body.To == "" || len(r.PathValue("request")) > 80) {
		err = errors.New(`needed: "to", "value": {"units": above zero, "ccy": three letters}, a request id of at most 80 bytes`)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, err)
		return
	}
	order := Order{
		From: r.PathValue("from"), Request: r.PathValue("request"), To: body.To,
		Hundredths: hundredths, Ccy: body.Value.Ccy,
	}
	decided, replayed, err := a.ledger.Submit(order)
	if err != nil {
		refuseFor(w, err)
		return
	}
	if replayed {
		w.Header().Set("Replayed", "yes")
	}
	reply(w, http.StatusOK, map[string]any{"state": decided.State, "transfer": view(decided)})
}

func (a api) account(w http.ResponseWriter, r *http.Request) {
	read, err := a.ledger.Account(r.Context(), r.PathValue("iban"))
	if err != nil {
		refuseFor(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{
		"iban": read.Iban, "opening": value{formatUnits(read.Opening), read.Ccy},
		"balance": value{formatUnits(read.Balance), read.Ccy},
	})
}

func (a api) byRequest(w http.ResponseWriter, r *http.Request) {
	found, err := a.ledger.ByRequest(r.Context(), r.PathValue("from"), r.URL.Query().Get("request"))
	if err != nil {
		refuseFor(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"transfers": views(found)})
}

func (a api) transfer(w http.ResponseWriter, r *http.Request) {
	no, err := strconv.ParseInt(r.PathValue("no"), 10, 64)
	if err != nil {
		refuse(w, http.StatusBadRequest, errors.New("a transfer has a whole number"))
		return
	}
	found, err := a.ledger.Transfer(r.Context(), no)
	if err != nil {
		refuseFor(w, err)
		return
	}
	reply(w, http.StatusOK, map[string]any{"state": found.State, "transfer": view(found)})
}

func (a api) export(w http.ResponseWriter, r *http.Request) {
	after, _ := strconv.ParseInt(r.URL.Query().Get("after"), 10, 64)
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || limit < 1 || limit > pageLimit {
		limit = pageLimit
	}
	found, err := a.ledger.After(r.Context(), after, limit)
	if err != nil {
		refuseFor(w, err)
		return
	}
	shown := views(found)
	for i, one := range found {
		if one.State == "DONE" {
			shown[i].Postings = []posting{
				{one.From, formatUnits(-one.Hundredths)}, {one.To, formatUnits(one.Hundredths)},
			}
		}
	}
	var next any // null on the last page
	if len(found) == limit {
		next = "/export/ledger?after=" + strconv.FormatInt(found[limit-1].No, 10) + "&limit=" + strconv.Itoa(limit)
	}
	reply(w, http.StatusOK, map[string]any{"transfers": shown, "next": next})
}

func refuseFor(w http.ResponseWriter, err error) {
	switch {
	case errors.Is(err, errNoAccount), errors.Is(err, sql.ErrNoRows):
		refuse(w, http.StatusNotFound, errors.New("not found"))
	case errors.Is(err, errReused):
		refuse(w, http.StatusConflict, err)
	case errors.Is(err, errBusy):
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, err)
	default:
		log.Printf("%v", err)
		refuse(w, http.StatusInternalServerError, errors.New("internal error"))
	}
}

func refuse(w http.ResponseWriter, status int, err error) {
	reply(w, status, map[string]string{"error": err.Error()})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the client may be gone: there is nobody to tell
}
