package stack

import (
	"fmt"

	"github.com/sluicepay/sluice/devstack/loopback"
)

// Ports are where the parts listen on the loopback address. Zero means not chosen yet.
type Ports struct {
	Postgres   int `json:"postgres"`
	Temporal   int `json:"temporal"`
	TemporalUI int `json:"temporal_ui"`
	ChainHTTP  int `json:"chain_http"`
	ChainWS    int `json:"chain_ws"`
	Chain2HTTP int `json:"chain2_http"`
	Chain2WS   int `json:"chain2_ws"`
	Worker     int `json:"worker"`
	API        int `json:"api"`
	// Receiver is left free by the stack: callbacks to it are allowed, so that a merchant can be played there.
	Receiver int `json:"receiver"`
}

// each walks over the ports with the names that flags and messages use.
func (p *Ports) each(visit func(name string, port *int) error) error {
	for _, field := range []struct {
		name string
		port *int
	}{
		{"postgres", &p.Postgres},
		{"temporal", &p.Temporal},
		{"temporal-ui", &p.TemporalUI},
		{"chain-http", &p.ChainHTTP},
		{"chain-ws", &p.ChainWS},
		{"chain2-http", &p.Chain2HTTP},
		{"chain2-ws", &p.Chain2WS},
		{"worker", &p.Worker},
		{"api", &p.API},
		{"receiver", &p.Receiver},
	} {
		if err := visit(field.name, field.port); err != nil {
			return err
		}
	}
	return nil
}

// choosePorts takes the fixed ports as they are, then those of the last time that are still free, then free ones.
func choosePorts(fixed, last Ports) (Ports, error) {
	chosen := last
	taken := make(map[int]bool)
	wanted := make(map[string]int)
	_ = fixed.each(func(name string, port *int) error {
		wanted[name] = *port
		taken[*port] = true
		return nil
	})
	free, err := loopback.FreePorts(2 * len(wanted))
	if err != nil {
		return Ports{}, err
	}
	err = chosen.each(func(name string, port *int) error {
		if want := wanted[name]; want != 0 {
			*port = want
			if !loopback.Free(want) {
				return fmt.Errorf("port %d, asked for as --%s-port, is in use", want, name)
			}
			return nil
		}
		for *port == 0 || taken[*port] || !loopback.Free(*port) {
			if len(free) == 0 {
				return fmt.Errorf("no free port for %s", name)
			}
			*port, free = free[0], free[1:]
		}
		taken[*port] = true
		return nil
	})
	return chosen, err
}

// Fixed lists the ports that are not zero, by the names that flags use.
func (p Ports) Fixed() map[string]int {
	fixed := make(map[string]int)
	_ = p.each(func(name string, port *int) error {
		if *port != 0 {
			fixed[name] = *port
		}
		return nil
	})
	return fixed
}
