// The page of the playground: two texts, a button, and what the command prints about them.

const HERE = new URL(".", import.meta.url);
const SPACE_FOR_FRAMES = 4; // characters: the padding of the terminal, and a scroll bar

const FORM = `
<form>
  <div class="play-texts">
    ${textField("policy", "Policy", "what rolls out, in which steps, and what may not go wrong")}
    ${textField("scenario", "Scenario", "the traffic, and the fault that strikes")}
  </div>
  <div class="play-row">
    <label>Requests per minute
      <input name="rate" type="number" min="1" placeholder="of the scenario"></label>
    <label>Seed <input name="seed" type="number" value="1" required></label>
    <button type="submit" class="md-button md-button--primary">Play</button>
    <button type="button" name="cancel" class="md-button" disabled>Cancel</button>
  </div>
  <p class="play-state" role="status"></p>
</form>
<section class="play-result" aria-label="Result" hidden>
  <pre tabindex="0" aria-label="What the command prints"></pre>
  <div class="play-report">
    <p><a download="rehearsal.html">Save the report</a></p>
    <iframe title="Report of the rehearsal" sandbox="allow-popups"></iframe>
  </div>
</section>`;

function textField(name, title, meaning) {
  return `
    <div>
      <label>${title}: ${meaning}<select name="${name}-name"></select></label>
      <textarea name="${name}" aria-label="Text of the ${name}" spellcheck="false"
        autocapitalize="off" autocomplete="off" wrap="off" required></textarea>
    </div>`;
}

class Playground {
  constructor(root, examples) {
    root.innerHTML = FORM;
    this.examples = examples;
    this.form = root.querySelector("form");
    this.fields = this.form.elements;
    this.state = root.querySelector(".play-state");
    this.result = root.querySelector(".play-result");
    this.terminal = root.querySelector("pre");
    this.frame = root.querySelector("iframe");
    this.link = root.querySelector("a[download]");
    for (const kind of ["policy", "scenario"]) {
      const names = this.fields[`${kind}-name`];
      names.replaceChildren(...Object.keys(examples[kind]).map((name) => new Option(name)));
      names.onchange = () => { this.fields[kind].value = examples[kind][names.value]; };
    }
    this.form.onsubmit = (event) => { event.preventDefault(); this.play(); };
    this.form.onkeydown = (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    };
    this.fields.cancel.onclick = () => this.cancel();
    // Python is loaded while the reader changes the policy.
    this.form.addEventListener("focusin", () => { this.worker ??= this.newWorker(); });
  }

  // Fill the form as the address says, or with the first example.
  async restore() {
    const stored = new URLSearchParams(location.hash.slice(1));
    for (const kind of ["policy", "scenario"]) {
      const examples = this.examples[kind];
      const names = this.fields[`${kind}-name`];
      const name = stored.get(kind);
      names.value = name in examples ? name : this.examples.first[kind];
      const text = stored.get(`${kind}-text`);
      this.fields[kind].value = text ? await unpack(text) : examples[names.value];
    }
    this.fields.rate.value = stored.get("rate") ?? "";
    this.fields.seed.value = stored.get("seed") ?? "1";
  }

  // Put into the address what was played, so that it can be sent to others.
  async store() {
    const stored = new URLSearchParams({ seed: this.fields.seed.value });
    if (this.fields.rate.value) stored.set("rate", this.fields.rate.value);
    for (const kind of ["policy", "scenario"]) {
      const name = this.fields[`${kind}-name`].value;
      stored.set(kind, name);
      const text = this.fields[kind].value;
      if (text !== this.examples[kind][name]) stored.set(`${kind}-text`, await pack(text));
    }
    history.replaceState(null, "", `#${stored}`);
  }

  play() {
    if (this.busy) return;
    this.setBusy(true);
    this.began = performance.now();
    this.worker ??= this.newWorker();
    this.say(this.loaded ? "Playing" : `Loading Python, ${this.examples.megabytes} MB`);
    const { policy, scenario, seed, rate } = this.fields;
    this.worker.postMessage({
      files: [
        [`${this.fields["policy-name"].value}.yaml`, policy.value],
        [`${this.fields["scenario-name"].value}.yaml`, scenario.value],
      ],
      options: ["--seed", seed.value, ...(rate.value ? ["--requests-per-minute", rate.value] : [])],
      columns: this.columns(),
    });
    this.store();
  }

  cancel() {
    this.worker.terminate();
    this.worker = null;
    this.setBusy(false);
    this.say("Cancelled");
  }

  newWorker() {
    this.loaded = false;
    const worker = new Worker(new URL("worker.js", HERE), { type: "module" });
    worker.onmessage = ({ data }) => {
      this.loaded = true;
      if ("progress" in data) this.say("Playing", data.progress);
      else if ("failure" in data) this.fail(data.failure);
      else this.show(data);
    };
    worker.onerror = (event) => this.fail(event.message || "the worker did not start");
    return worker;
  }

  // A button that has the focus is not disabled: the focus would be lost.
  setBusy(busy) {
    const play = this.form.querySelector("[type=submit]");
    this.busy = busy;
    play.setAttribute("aria-disabled", busy);
    if (!busy && document.activeElement === this.fields.cancel) play.focus();
    this.fields.cancel.disabled = !busy;
  }

  // Announce `what`; the detail changes too often to be read out.
  say(what, detail = "") {
    const words = document.createElement("span");
    words.textContent = what;
    const rest = document.createElement("span");
    rest.setAttribute("aria-hidden", "true");
    rest.textContent = detail && `: ${detail}`;
    if (this.state.firstChild?.textContent === what) this.state.lastChild.replaceWith(rest);
    else this.state.replaceChildren(words, rest);
  }

  fail(why) {
    this.worker?.terminate();
    this.worker = null;
    this.setBusy(false);
    this.say(`The playground failed: ${why}`);
  }

  show({ status, text, report }) {
    const seconds = (performance.now() - this.began) / 1000;
    this.setBusy(false);
    this.say(`Ended with exit status ${status} after ${seconds.toFixed(1)} s`);
    this.terminal.replaceChildren(...spans(text.trimEnd(), (...place) => this.goTo(...place)));
    this.result.hidden = false;
    this.frame.parentElement.hidden = !report;
    this.frame.srcdoc = report;
    URL.revokeObjectURL(this.link.href);
    this.link.href = URL.createObjectURL(new Blob([report], { type: "text/html" }));
  }

  // Select a line of the policy or of the scenario.
  goTo(name, line, column) {
    const kind = name === this.fields["policy-name"].value ? "policy" : "scenario";
    const area = this.fields[kind];
    const before = area.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1);
    const end = area.value.indexOf("\n", before);
    area.focus();
    area.setSelectionRange(before + column - 1, end < 0 ? area.value.length : end);
    area.scrollTop = (line - 3) * parseFloat(getComputedStyle(area).lineHeight);
  }

  // The width of the terminal, in characters.
  columns() {
    const ruler = document.createElement("pre");
    ruler.className = "play-ruler";
    ruler.textContent = "m".repeat(100);
    this.form.append(ruler);
    const width = ruler.getBoundingClientRect().width / 100;
    ruler.remove();
    return Math.max(30, Math.floor(this.form.clientWidth / width) - SPACE_FOR_FRAMES);
  }
}

// What a terminal shows, as elements: the colours, and a button for each place in a file.
function* spans(text, goTo) {
  let style = "";
  for (const part of text.split(/(\x1b\[[0-9;]*m)/)) {
    const code = part.match(/^\x1b\[([0-9;]*)m$/);
    if (code) {
      style = code[1].split(";").map((number) => `sgr-${number}`).join(" ");
      continue;
    }
    for (const piece of part.split(/(\b[\w-]+\.yaml:\d+:\d+)/)) {
      const place = piece.match(/^([\w-]+)\.yaml:(\d+):(\d+)$/);
      const element = document.createElement(place ? "button" : "span");
      element.textContent = piece;
      element.className = style;
      if (place) {
        element.type = "button";
        element.onclick = () => goTo(place[1], Number(place[2]), Number(place[3]));
      }
      if (piece) yield element;
    }
  }
}

async function pack(text) {
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_");
}

async function unpack(packed) {
  const text = atob(packed.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = Uint8Array.from(text, (one) => one.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Response(stream).text();
}

const root = document.querySelector("#play");
try {
  const examples = await (await fetch(new URL("examples.json", HERE))).json();
  await new Playground(root, examples).restore();
} catch (error) {
  root.textContent = `The playground cannot start: ${error.message}.`;
}
