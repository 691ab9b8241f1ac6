package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type rpcCommands struct {
	List   rpcList   `cmd:"" help:"List a network's nodes: their numbers, as in metrics and logs, who runs them and where, without their keys."`
	Remove rpcRemove `cmd:"" help:"Ask a node nothing more, and forget its URL."`
}

type rpcList struct {
	Chain string `arg:"" help:"Of which network."`
	JSON  bool   `name:"json" help:"Print one JSON object."`
}

// listedNode is a node as it may be shown: of its URL only the domain, because the rest may be a key.
type listedNode struct {
	Node      int64  `json:"node"`
	Operator  string `json:"operator"`
	Domain    string `json:"domain"`
	WebSocket bool   `json:"websocket"`
}

// Run lists the nodes.
func (l rpcList) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		if _, err := a.db.GetChain(ctx, l.Chain); err != nil {
			return err
		}
		endpoints, err := a.db.ListRPCEndpoints(ctx, l.Chain)
		if err != nil {
			return err
		}
		var page store.Page[listedNode]
		for _, e := range endpoints {
			domain := "its URL does not open"
			if url, err := a.keys.Open(e.URL, e.URLPlace(l.Chain)); err == nil {
				domain = operatorOf(string(url))
			}
			page.Items = append(page.Items, listedNode{Node: e.ID, Operator: e.Operator, Domain: domain, WebSocket: e.WSURL != nil})
		}
		return printPage(c, paged{JSON: l.JSON}, page, []column[listedNode]{
			{"NODE", func(n listedNode) string { return strconv.FormatInt(n.Node, 10) }},
			{"OPERATOR", func(n listedNode) string { return n.Operator }},
			{"DOMAIN", func(n listedNode) string { return n.Domain }},
			{"WEBSOCKET", func(n listedNode) string { return strconv.FormatBool(n.WebSocket) }},
		})
	})
}

type rpcRemove struct {
	Chain       string `arg:"" help:"Of which network."`
	Node        int64  `arg:"" help:"Its number, as 'chain rpc list' shows it."`
	OneOperator bool   `help:"Also when one operator is left and some amounts need two: their payments wait until there is another."`
	audited
}

// Run removes the node.
func (r rpcRemove) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, r.audited, func(a admin) error {
		err := a.db.RemoveRPCEndpoint(ctx, r.Chain, r.Node, r.OneOperator, a.by)
		if payment.CodeOf(err) == payment.CodeOrderState && !r.OneOperator {
			return fmt.Errorf("%w (--one-operator does it all the same where one is left)", err)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "node %d of %s is removed: workers ask it nothing more within a minute\n", r.Node, r.Chain)
		return nil
	})
}
