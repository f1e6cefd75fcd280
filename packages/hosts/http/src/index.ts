/**
 * Serves the HTTP API, its documentation and live events.
 */
export * as HttpHost from "./HttpHost.ts"
export * from "./TokenFile.ts"
