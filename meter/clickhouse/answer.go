package clickhouse

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// class is what to do about a failed insertion.
type class int32

const (
	// ambiguous: it may have happened. The same bytes are sent again under the
	// same token, for ever.
	ambiguous class = iota
	// configuration: it can not happen until somebody mends the server. Kept,
	// told, tried again now and then.
	configuration
	// poison: the server has read it and refuses a row; nothing of the block is
	// there. It is halved until the row is alone.
	poison
	// unclear: the server has answered with an error of which nobody knows
	// whether the rows or the server are at fault. Other segments go first, and
	// when those are taken while this one is not, it is the rows.
	unclear
)

// Codes of ClickHouse (src/Common/ErrorCodes.cpp).
var (
	// NO_SUCH_COLUMN_IN_TABLE, UNKNOWN_IDENTIFIER, UNKNOWN_TABLE,
	// UNKNOWN_DATABASE, UNKNOWN_SETTING, UNKNOWN_USER, WRONG_PASSWORD,
	// ACCESS_DENIED, AUTHENTICATION_FAILED, READONLY.
	configurationCodes = []int32{16, 47, 60, 81, 115, 192, 193, 497, 516, 164}
	// CANNOT_PARSE_TEXT, CANNOT_PARSE_INPUT_ASSERTION_FAILED, TYPE_MISMATCH,
	// INCORRECT_DATA, UNKNOWN_ELEMENT_OF_ENUM, CANNOT_PARSE_UUID,
	// VIOLATED_CONSTRAINT, DECIMAL_OVERFLOW, VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE.
	poisonCodes = []int32{6, 27, 53, 117, 36, 376, 469, 407, 321}
	// Answers of a server that is busy, full, stopping or without its
	// neighbours, whatever the rows are: CANNOT_READ_FROM_FILE_DESCRIPTOR,
	// CANNOT_WRITE_TO_FILE_DESCRIPTOR, TIMEOUT_EXCEEDED, DNS_ERROR,
	// QUOTA_EXCEEDED, TOO_MANY_SIMULTANEOUS_QUERIES, NO_FREE_CONNECTION,
	// SOCKET_TIMEOUT, NETWORK_ERROR, NO_ZOOKEEPER, ABORTED,
	// MEMORY_LIMIT_EXCEEDED, TABLE_IS_READ_ONLY, NOT_ENOUGH_SPACE,
	// TOO_MANY_PARTS, ALL_CONNECTION_TRIES_FAILED, TOO_FEW_LIVE_REPLICAS,
	// UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE, UNKNOWN_STATUS_OF_INSERT,
	// QUERY_WAS_CANCELLED, SYSTEM_ERROR, KEEPER_EXCEPTION.
	busyCodes = []int32{74, 75, 159, 198, 201, 202, 203, 209, 210, 225, 236, 241, 242, 243, 252, 279, 285, 286, 319, 394, 425, 999}
)

// classOf judges an error; code is ClickHouse's, 0 for none.
func classOf(err error) (c class, code int32) {
	if _, ok := errors.AsType[*Problem](err); ok {
		return configuration, 0
	}
	e, ok := errors.AsType[*clickhouse.Exception](err)
	if !ok {
		return ambiguous, 0
	}
	switch {
	case slices.Contains(configurationCodes, e.Code):
		return configuration, e.Code
	case slices.Contains(poisonCodes, e.Code):
		return poison, e.Code
	}
	if slices.Contains(busyCodes, e.Code) || e.Code == 0 {
		return ambiguous, e.Code
	}
	return unclear, e.Code
}

// written is how many rows an answer says it has written, with those that went
// to views and those that were dropped as known: 0 says that none has arrived.
type written struct {
	rows int64
	told bool
}

type writtenKey struct{}

// watchWritten gives a context whose HTTP answer fills w.
func watchWritten(ctx context.Context, w *written) context.Context {
	return context.WithValue(ctx, writtenKey{}, w)
}

// summaryReader reads the answer's summary, which clickhouse-go does not show.
// Without it, a body that got lost on the way looks like a success: the server
// has taken nothing, and says 200 (clickhouse-go 2.50.0, httpBatch.Send closes
// its pipe without the error of encoding).
type summaryReader struct{ next http.RoundTripper }

// RoundTrip makes the call.
func (s summaryReader) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := s.next.RoundTrip(r)
	if w, ok := r.Context().Value(writtenKey{}).(*written); ok && err == nil {
		var summary struct {
			WrittenRows string `json:"written_rows"`
		}
		if json.Unmarshal([]byte(response.Header.Get("X-ClickHouse-Summary")), &summary) == nil {
			n, perr := strconv.ParseInt(summary.WrittenRows, 10, 64)
			w.rows, w.told = n, perr == nil
		}
	}
	return response, err
}
