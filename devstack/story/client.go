package story

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// client calls the API with a merchant's key.
type client struct {
	base, key string
	http      http.Client
}

func newClient(base, key string) *client {
	return &client{base: base, key: key, http: http.Client{Timeout: 15 * time.Second}}
}

// order is what the story needs of an order's JSON.
type order struct {
	ID        string    `json:"id"`
	State     string    `json:"state"`
	Labels    []string  `json:"labels"`
	Chain     string    `json:"chain"`
	Asset     string    `json:"asset"`
	Amount    string    `json:"amount"`
	Received  string    `json:"amount_received"`
	Address   string    `json:"address"`
	ExpiresAt time.Time `json:"expires_at"`
	CreatedAt time.Time `json:"created_at"`
	Reference string    `json:"reference"`
}

type orderPayment struct {
	ID                    string `json:"id"`
	State                 string `json:"state"`
	Asset                 string `json:"asset"`
	Amount                string `json:"amount"`
	TxHash                string `json:"tx_hash"`
	BlockNumber           uint64 `json:"block_number"`
	Confirmations         int    `json:"confirmations"`
	ConfirmationsRequired int    `json:"confirmations_required"`
}

type orderRequest struct {
	Chain     string            `json:"chain"`
	Asset     string            `json:"asset"`
	Amount    string            `json:"amount"`
	ExpiresIn int               `json:"expires_in"` // seconds
	Reference string            `json:"reference"`
	Metadata  map[string]string `json:"metadata"`
}

// postOrder creates an order. The key makes repeating it harmless.
func (c *client) postOrder(ctx context.Context, idempotencyKey string, request orderRequest) (order, error) {
	var created order
	err := c.call(ctx, http.MethodPost, "/v1/orders", idempotencyKey, request, &created)
	return created, err
}

func (c *client) order(ctx context.Context, id string) (order, error) {
	var found order
	err := c.call(ctx, http.MethodGet, "/v1/orders/"+id, "", nil, &found)
	return found, err
}

// orders returns all of the merchant's orders, newest first.
func (c *client) orders(ctx context.Context) ([]order, error) {
	var all []order
	query := url.Values{"limit": {"100"}}
	for {
		var page struct {
			Data       []order `json:"data"`
			NextCursor string  `json:"next_cursor"`
		}
		if err := c.call(ctx, http.MethodGet, "/v1/orders?"+query.Encode(), "", nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Data...)
		if page.NextCursor == "" {
			return all, nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

func (c *client) payments(ctx context.Context, orderID string) ([]orderPayment, error) {
	var page struct {
		Data []orderPayment `json:"data"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/orders/"+orderID+"/payments", "", nil, &page)
	return page.Data, err
}

// balance is what the merchant has in one asset, as decimals.
type balance struct {
	Chain     string `json:"chain"`
	Asset     string `json:"asset"`
	Available string `json:"available"`
	Held      string `json:"held"`
}

func (c *client) balances(ctx context.Context) ([]balance, error) {
	var page struct {
		Data []balance `json:"data"`
	}
	err := c.call(ctx, http.MethodGet, "/v1/balances", "", nil, &page)
	return page.Data, err
}

// problem is an answer that is not a success.
type problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
}

func (p *problem) Error() string {
	return fmt.Sprintf("the API answers %d %s: %s %s", p.Status, p.Code, p.Title, p.Detail)
}

// maxAnswer is far more than any answer the story asks for.
const maxAnswer = 1 << 20

func (c *client) call(ctx context.Context, method, path, idempotencyKey string, body, answer any) error {
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, &content)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if idempotencyKey != "" {
		request.Header.Set("Idempotency-Key", idempotencyKey)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode/100 != 2 {
		refused := problem{Status: response.StatusCode}
		_ = json.Unmarshal(raw, &refused)
		return fmt.Errorf("%s %s: %w", method, path, &refused)
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("%s %s: read the answer: %w", method, path, err)
	}
	return nil
}
