// Three things that jupyterlab-rise (up to 0.43.1) lacks for slides with ipywidgets, one for keyboards, two for screen readers.
// 2 to 5 act on the panels of these lessons only, which have the class mnist-panel; 1 gives what would otherwise be missing;
// 6 acts on pictures that come with a text alternative.

// 1. The module @jupyterlab/console, without which ipywidgets 8 does not load in the slides:
// https://github.com/jupyterlab-contrib/rise/issues/119. These are the two names that ipywidgets takes from it.
const console_module = {
  CodeConsole: class {},
  IConsoleTracker: { name: "@jupyterlab/console:IConsoleTracker" },
};

// 2. In the slides keys pressed in a slider or button belong to it; otherwise arrow keys, Home and End would turn the slide,
// too. In a list of choices they belong to it everywhere: typed to choose "dropout", "dd" would delete the cell.
const in_panel = node => document.body.classList.contains("rise-enabled") && node.closest(".mnist-panel");
document.addEventListener("focusin", event => {
  if (in_panel(event.target) || event.target.matches(".mnist-panel select")) {
    event.target.setAttribute("data-lm-suppress-shortcuts", ""); // JupyterLab's shortcuts
  }
});
document.body.addEventListener("keydown", event => {
  if (in_panel(event.target)) event.stopPropagation(); // reveal.js, which listens at the document
});

// 3. When the window gets another size, reveal.js measures the page before JupyterLab has laid it out: let it measure again.
window.addEventListener("resize", event => {
  if (event.isTrusted && document.querySelector(".rise-enabled .mnist-panel")) {
    setTimeout(() => window.dispatchEvent(new Event("resize")), 300);
  }
});

// 4. A canvas of ipycanvas keeps all keys to itself: let Tab lead out of the pad again, in JupyterLab and in the slides.
document.addEventListener("keydown", event => {
  if (event.key === "Tab" && event.target.matches(".mnist-panel canvas")) event.stopPropagation();
}, true);

// 5. ipywidgets (8.1) and ipycanvas give sliders, play buttons, pictures and the pad no name that a screen reader could say.
const names = {
  ".noUi-handle": handle => handle.closest(".widget-inline-hbox")?.querySelector(".widget-label")?.textContent,
  ".widget-play button:has(.fa-play, .fa-pause)": () => "play or pause",
  ".widget-play button:has(.fa-stop)": () => "stop",
  "img.widget-image": () => "picture; the sentence after it says what it shows",
  "canvas": () => "drawing pad for mouse, pen or finger; the list of examples does without",
};
const name_controls = () => {
  for (const [selector, name_of] of Object.entries(names)) {
    for (const node of document.querySelectorAll(`.mnist-panel ${selector}:not([aria-label])`)) {
      const name = name_of(node);
      if (name) node.setAttribute("aria-label", name);
      if (node.matches("canvas")) node.setAttribute("role", "img");
    }
  }
};
new MutationObserver(name_controls).observe(document.body, { childList: true, subtree: true });

// 6. JupyterLab (up to 4.6) shows a picture without the text alternative that stands in the metadata of the output.
const alt_texts = token => ({
  id: "mnist-helpers-rise:alt-texts",
  description: "Gives pictures the text alternative that is stored with them",
  autoStart: true,
  requires: [token],
  activate: (app, rendermime) => {
    const factory = rendermime.getFactory("image/png");
    const createRenderer = options => {
      const renderer = factory.createRenderer(options), render = renderer.renderModel.bind(renderer);
      renderer.renderModel = async model => {
        await render(model);
        const alt = model.metadata["image/png"]?.alt;
        if (alt) renderer.node.querySelector("img")?.setAttribute("alt", alt);
      };
      return renderer;
    };
    rendermime.addFactory({ ...factory, mimeTypes: ["image/png"], createRenderer }, 80); // the usual one has rank 90
  },
});
let rendermime_module;

window._JUPYTERLAB ??= {};
window._JUPYTERLAB["mnist-helpers-rise"] = {
  init: async shared => {
    shared["@jupyterlab/console"] ??= { "4.3.4": { from: "mnist-helpers-rise", get: async () => () => console_module } };
    rendermime_module = Object.values(shared["@jupyterlab/rendermime"])[0].get();
  },
  get: async () => {
    const { IRenderMimeRegistry } = (await rendermime_module)();
    return () => ({ __esModule: true, default: [alt_texts(IRenderMimeRegistry)] });
  },
};
