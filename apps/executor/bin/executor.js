#!/usr/bin/env node
/**
 * Starts the command on a Node that it works on. This file must run on any Node that is still about: the database driver
 * crashes an old one outright, so nothing is imported before the version is known.
 */
var supported = function (version) {
  var parts = version.split(".").map(Number)
  return parts[0] > 22 || (parts[0] === 22 && parts[1] >= 19)
}

if (supported(process.versions.node)) {
  import("node:module").then(function (module) {
    if (module.enableCompileCache) module.enableCompileCache()
    return import("../dist/main.js")
  })
} else {
  import("./on-own-node.js")
}
