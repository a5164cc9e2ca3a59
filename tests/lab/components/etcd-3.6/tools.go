//go:build tools

// Package tools pins the commands that the lab builds from this module.
package tools

import (
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
