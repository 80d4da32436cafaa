import { parentPort } from "node:worker_threads";
import { engineHandlers } from "./engine-handlers.js";
import { serveRequests } from "./serve-requests.js";

if (parentPort === null) {
  throw new Error("this module runs in a worker thread only");
}
serveRequests(parentPort, engineHandlers);
