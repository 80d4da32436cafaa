import { nodeVersionError } from "./node-version.js";

// Imported before anything else of the library, so that an old Node is told so before it fails at something it lacks.
const problem = nodeVersionError(process.versions.node);
if (problem !== null) throw problem;
