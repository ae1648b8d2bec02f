package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxHundredths keeps every sum of the ledger far from the end of int64.
const maxHundredths = int64(1e14)

var errUnits = errors.New(`units must be a decimal string such as "12.34", above zero, with at most two decimals`)

// parseUnits reads "12.34" as 1234. No float is ever involved.
func parseUnits(text string) (int64, error) {
	whole, fraction, pointed := strings.Cut(text, ".")
	if whole == "" || len(whole) > 12 || len(fraction) > 2 || (pointed && fraction == "") {
		return 0, errUnits
	}
	for len(fraction) < 2 {
		fraction += "0"
	}
	digits := whole + fraction
	for _, digit := range digits {
		if digit < '0' || digit > '9' {
			return 0, errUnits
		}
	}
	hundredths, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || hundredths > maxHundredths {
		return 0, errUnits
	}
	return hundredths, nil
}

// formatUnits writes 1234 as "12.34" and -5 as "-0.05".
func formatUnits(hundredths int64) string {
	sign := ""
	if hundredths < 0 {
		sign, hundredths = "-", -hundredths
	}
	return fmt.Sprintf("%s%d.%02d", sign, hundredths/100, hundredths%100)
}
