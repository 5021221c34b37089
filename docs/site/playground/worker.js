// Plays rehearsals away from the page, which stays responsive, and which ends this worker to cancel.
import { loadPyodide } from "./pyodide.mjs";

const HERE = new URL(".", import.meta.url).href;
const SITE_PACKAGES = "/lib/python3.14/site-packages";

// build.py has compressed the large files: not every server does it.
const fetchAsIs = self.fetch;
self.fetch = (address, ...rest) =>
  /\.(wasm|zip)$/.test(address) ? fetchPacked(String(address)) : fetchAsIs(address, ...rest);

async function fetchPacked(address) {
  const answer = await fetchAsIs(`${address}.packed`);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  const type = address.endsWith(".wasm") ? "application/wasm" : "application/zip";
  const unpacked = answer.body.pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked, { headers: { "Content-Type": type } });
}

async function load() {
  const program = fetch(`${HERE}rolloutctl.zip`).then((answer) => answer.arrayBuffer());
  const python = await loadPyodide({ indexURL: HERE });
  python.unpackArchive(await program, "zip", { extractDir: SITE_PACKAGES });
  return { python, play: python.pyimport("play").play };
}

const loaded = load();

self.onmessage = async ({ data: { files, options, columns } }) => {
  try {
    const { python, play } = await loaded;
    self.postMessage({ progress: "" });
    const onProgress = (line) => self.postMessage({ progress: line });
    const result = play(python.toPy(files), python.toPy(options), columns, onProgress);
    const [status, text, report] = result.toJs();
    result.destroy();
    self.postMessage({ status, text, report });
  } catch (error) {
    self.postMessage({ failure: String(error) });
  }
};
