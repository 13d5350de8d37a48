package wire

import (
	"errors"
	"time"
)

// dateLayout is date-time of RFC 9051 section 9, with two digits of the day, which every server understands.
const dateLayout = `"02-Jan-2006 15:04:05 -0700"`

// AppendDate appends t as a date-time, quotes included.
func AppendDate(b []byte, t time.Time) []byte { return t.AppendFormat(b, dateLayout) }

var errDate = errors.New("parse date: not a date-time")

// ParseDate returns the time that a date-time without its quotes names, in UTC. It allocates nothing.
func ParseDate(s []byte) (time.Time, error) {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	if len(s) > 1 && s[1] == '-' {
		return parseDate(int(s[0]-'0'), s[1:])
	}
	if len(s) < 2 {
		return time.Time{}, errDate
	}
	day, ok := digits(s[:2])
	if !ok {
		return time.Time{}, errDate
	}
	return parseDate(day, s[2:])
}

// parseDate takes "-Jul-1996 02:44:25 -0700".
func parseDate(day int, s []byte) (time.Time, error) {
	if len(s) != 24 || s[0] != '-' || s[4] != '-' || s[9] != ' ' || s[12] != ':' || s[15] != ':' || s[18] != ' ' {
		return time.Time{}, errDate
	}
	month := monthOf(s[1:4])
	year, ok1 := digits(s[5:9])
	hour, ok2 := digits(s[10:12])
	minute, ok3 := digits(s[13:15])
	sec, ok4 := digits(s[16:18])
	zone, ok5 := digits(s[20:24])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || month == 0 || day < 1 || day > 31 ||
		hour > 23 || minute > 59 || sec > 60 || (s[19] != '+' && s[19] != '-') {
		return time.Time{}, errDate
	}
	offset := time.Duration(zone/100*60+zone%100) * time.Minute
	if s[19] == '-' {
		offset = -offset
	}
	return time.Date(year, month, day, hour, minute, sec, 0, time.UTC).Add(-offset), nil
}

func digits(s []byte) (int, bool) {
	n := 0
	for _, b := range s {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int(b-'0')
	}
	return n, true
}

func monthOf(s []byte) time.Month {
	const names = "janfebmaraprmayjunjulaugsepoctnovdec"
	for m := range 12 {
		name := names[3*m : 3*m+3]
		if s[0]|0x20 == name[0] && s[1]|0x20 == name[1] && s[2]|0x20 == name[2] {
			return time.Month(m + 1)
		}
	}
	return 0
}
