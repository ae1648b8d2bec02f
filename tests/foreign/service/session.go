package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"strconv"
	"strings"
	"time"
)

const sessionLife = time.Hour

var errSession = errors.New("no valid session: POST /session first and send its X-Session header")

// desk is the one client that may log in. Tokens are signed, not stored, so that they outlive a restart.
type desk struct {
	id     string
	secret string
	now    func() time.Time
}

func (d desk) sign(text string) string {
	mac := hmac.New(sha256.New, []byte(d.secret))
	mac.Write([]byte(text))
	return hex.EncodeToString(mac.Sum(nil))
}

func (d desk) open(id, secret string) (string, error) {
	right := subtle.ConstantTimeCompare([]byte(d.id+"\n"+d.secret), []byte(id+"\n"+secret))
	if right != 1 {
		return "", errors.New("client_id or secret is wrong")
	}
	claim := d.id + "." + strconv.FormatInt(d.now().Add(sessionLife).Unix(), 10)
	return claim + "." + d.sign(claim), nil
}

func (d desk) check(token string) error {
	cut := strings.LastIndexByte(token, '.')
	if cut < 0 {
		return errSession
	}
	claim, signature := token[:cut], token[cut+1:]
	if !hmac.Equal([]byte(signature), []byte(d.sign(claim))) {
		return errSession
	}
	expiry, err := strconv.ParseInt(claim[strings.LastIndexByte(claim, '.')+1:], 10, 64)
	if err != nil || d.now().Unix() >= expiry {
		return errSession
	}
	return nil
}
