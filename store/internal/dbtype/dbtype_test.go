package dbtype_test

import (
	"math/big"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/internal/pgtest"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/dbtype"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const maxAmount = "115792089237316195423570985008687907853269984665640564039457584007913129639935"

// Through the database and back, as a number, as the domain, and as a bare parameter whose type is the domain.
func TestAmountsComeBackExactly(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	ctx := t.Context()
	check := func(t require.TestingT, text string) {
		amount, err := payment.ParseBaseUnits(text)
		require.NoError(t, err)
		for _, sql := range []string{`SELECT $1::numeric`, `SELECT $1::base_units`, `SELECT $1::numeric::base_units`} {
			var back dbtype.Amount
			require.NoError(t, db.App.QueryRow(ctx, sql, dbtype.Of(amount)).Scan(&back), sql)
			require.Equal(t, amount, back.Amount, "%s of %s", sql, text)
		}
	}
	for _, text := range []string{"0", "1", "9999", "10000", "2500", "25000000", "100000000000000000000", maxAmount} {
		check(t, text)
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "bytes")
		check(t, new(big.Int).SetBytes(raw).String())
	})
}

func TestWhatIsNoAmount(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for _, sql := range []string{
		`SELECT -1::numeric`, `SELECT 0.5::numeric`, `SELECT 'NaN'::numeric`, `SELECT 'Infinity'::numeric`, `SELECT NULL::numeric`,
		`SELECT ` + maxAmount + `::numeric + 1`, `SELECT (-1)::base_units`, `SELECT 0.5::base_units`, `SELECT 'NaN'::base_units`,
		`SELECT (` + maxAmount + `::numeric + 1)::base_units`,
	} {
		var amount dbtype.Amount
		require.Error(t, db.App.QueryRow(t.Context(), sql).Scan(&amount), sql)
	}
	var signed dbtype.Signed
	require.NoError(t, db.App.QueryRow(t.Context(), `SELECT -(`+maxAmount+`::numeric) * 2`).Scan(&signed))
	want, _ := new(big.Int).SetString(maxAmount, 10)
	require.Zero(t, signed.Cmp(want.Mul(want, big.NewInt(-2))))
	for _, sql := range []string{`SELECT 0.5::numeric`, `SELECT 'NaN'::numeric`, `SELECT NULL::numeric`} {
		require.Error(t, db.App.QueryRow(t.Context(), sql).Scan(&signed), sql)
	}
	_, err := dbtype.Signed{}.NumericValue()
	require.Error(t, err)
	require.NoError(t, signed.ScanNumeric(pgtype.Numeric{Int: big.NewInt(2500), Exp: -2, Valid: true}))
	require.Equal(t, "25", signed.String())
}
