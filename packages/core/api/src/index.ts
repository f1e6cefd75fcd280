/**
 * The HTTP contract, and the client derived from it. Runs in a browser too.
 */
export * from "./CatalogApi.ts"
export * from "./Client.ts"
export * from "./ExecutionsApi.ts"
export * from "./ExecutorApi.ts"
export * from "./JournalsApi.ts"
export * from "./Middleware.ts"
export * from "./Parameters.ts"
export * from "./Problems.ts"
export * from "./Records.ts"
export * from "./Submission.ts"
export * from "./SystemApi.ts"
