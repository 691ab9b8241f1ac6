package temporalite

import (
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"

	"github.com/sluicepay/sluice/devstack/loopback"
)

type servicePorts struct {
	frontend, history, matching, worker, ui int
}

func choosePorts(opts Options) (servicePorts, error) {
	free, err := loopback.FreePorts(5)
	if err != nil {
		return servicePorts{}, err
	}
	ports := servicePorts{frontend: free[0], history: free[1], matching: free[2], worker: free[3], ui: free[4]}
	if opts.FrontendPort != 0 {
		ports.frontend = opts.FrontendPort
	}
	if opts.UIPort != 0 {
		ports.ui = opts.UIPort
	}
	return ports, nil
}

func (p servicePorts) byService() map[primitives.ServiceName]int {
	return map[primitives.ServiceName]int{
		primitives.FrontendService: p.frontend,
		primitives.HistoryService:  p.history,
		primitives.MatchingService: p.matching,
		primitives.WorkerService:   p.worker,
	}
}

// staticHosts names the four services' addresses outright. Discovering them by gossip would take more ports and
// seconds, for a cluster of one.
func staticHosts(ports servicePorts) map[primitives.ServiceName]static.Hosts {
	hosts := make(map[primitives.ServiceName]static.Hosts)
	for name, port := range ports.byService() {
		hosts[name] = static.SingleLocalHost(loopback.Addr(port))
	}
	return hosts
}

func serverConfig(database string, ports servicePorts) *config.Config {
	services := make(map[string]config.Service)
	for name, port := range ports.byService() {
		services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: port, BindOnIP: loopback.Host}}
	}
	frontend := loopback.Addr(ports.frontend)
	return &config.Config{
		Persistence: config.Persistence{
			DefaultStore:     sqliteplugin.PluginName,
			VisibilityStore:  sqliteplugin.PluginName,
			NumHistoryShards: 1,
			DataStores:       map[string]config.DataStore{sqliteplugin.PluginName: {SQL: sqliteConfig(database)}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		Archival: config.Archival{
			History:    config.HistoryArchival{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchival{State: config.ArchivalDisabled},
		},
		PublicClient: config.PublicClient{HostPort: frontend},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: config.ArchivalDisabled},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: config.ArchivalDisabled},
		}},
	}
}

const clusterName = "active"

func sqliteConfig(database string) *config.SQL {
	return &config.SQL{
		PluginName:   sqliteplugin.PluginName,
		DatabaseName: database,
		MaxConns:     1,
		ConnectAttributes: map[string]string{
			"mode":         "rwc",
			"journal_mode": "wal",
			"synchronous":  "normal",
			// A second process on the same file (a restart that overlaps a dying one) waits instead of failing.
			"busy_timeout": "10000",
		},
	}
}

// dynamicConfig fits the service to one small machine: a task queue is one partition, because more of them only add
// forwarding, and a new search attribute is known at once instead of after the cache's next refresh.
func dynamicConfig(overrides map[string]any) dynamicconfig.StaticClient {
	settings := dynamicconfig.StaticClient{
		dynamicconfig.ForceSearchAttributesCacheRefreshOnRead.Key(): true,
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():      1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key():     1,
		// Every list in the UI and every count in a test is a visibility call; the default of ten a second is for
		// clusters that share one visibility store.
		dynamicconfig.FrontendMaxNamespaceVisibilityRPSPerInstance.Key(): 200,
	}
	for key, value := range overrides {
		settings[dynamicconfig.MakeKey(key)] = value
	}
	return settings
}
