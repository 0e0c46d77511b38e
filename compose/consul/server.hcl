# One of three servers. Its address and name are said on the command line; the keys come as a secret.
datacenter           = "cellway"
server               = true
bootstrap_expect     = 3
data_dir             = "/consul/data"
bind_addr            = "0.0.0.0"
client_addr          = "0.0.0.0"
retry_join           = ["172.30.250.11", "172.30.250.12", "172.30.250.13"]
retry_interval       = "2s"
disable_update_check = true
enable_script_checks = false

ports {
  dns      = -1
  grpc     = -1
  serf_wan = -1
}

# Whoever has no token may not even look. `cellway bootstrap consul` says what each token may.
acl {
  enabled                  = true
  default_policy           = "deny"
  down_policy              = "extend-cache"
  enable_token_persistence = false
}

# Each process holds a few connections.
limits {
  http_max_conns_per_client = 2000
}

telemetry {
  prometheus_retention_time = "60s"
  disable_hostname          = true
}
