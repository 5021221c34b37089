// Runs bundle.py in the Python of the browser, under Node: node bundle.mjs PYODIDE FOLDER TARGET
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const [pyodide, folder, target] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const python = await loadPyodide();
python.mountNodeFS("/folder", folder);
python.mountNodeFS("/target", target);
python.runPython(await readFile(new URL("bundle.py", import.meta.url), "utf8"));
