// Telegraf with the plugins that the benchmark uses and no others; the whole program would take many minutes to build.
// The agent, the plugins and the configuration file are Telegraf's own.
package main

import (
	"context"
	"log"
	"os"

	"github.com/influxdata/telegraf/agent"
	"github.com/influxdata/telegraf/config"
	_ "github.com/influxdata/telegraf/plugins/inputs/mock"
	_ "github.com/influxdata/telegraf/plugins/outputs/mqtt"
	_ "github.com/influxdata/telegraf/plugins/serializers/json"
)

func main() {
	configuration := config.NewConfig()
	if err := configuration.LoadConfig(os.Args[1]); err != nil {
		log.Fatal(err)
	}
	if err := agent.NewAgent(configuration).Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
