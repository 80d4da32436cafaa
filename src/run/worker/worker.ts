import { parentPort } from "node:worker_threads";
import { serveRequests } from "../engine/serve-requests.js";
import { engineHandlers } from "./engine-handlers.js";

if (parentPort === null) {
  throw new Error("this module runs in a worker thread only");
}
serveRequests(parentPort, engineHandlers);
