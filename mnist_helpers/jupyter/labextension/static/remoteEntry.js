// Three things that jupyterlab-rise (up to 0.43.1) lacks for slides with ipywidgets, and one for keyboards.
// 2 to 4 act on the panels of these lessons only, which have the class mnist-panel; 1 gives what would otherwise be missing.

// 1. The module @jupyterlab/console, without which ipywidgets 8 does not load in the slides:
// https://github.com/jupyterlab-contrib/rise/issues/119. These are the two names that ipywidgets takes from it.
const console_module = {
  CodeConsole: class {},
  IConsoleTracker: { name: "@jupyterlab/console:IConsoleTracker" },
};

// 2. Keys pressed in a slider or button belong to it; otherwise arrow keys, Home and End would turn the slide as well.
const in_panel = node => document.body.classList.contains("rise-enabled") && node.closest(".mnist-panel");
document.addEventListener("focusin", event => {
  if (in_panel(event.target)) event.target.setAttribute("data-lm-suppress-shortcuts", ""); // JupyterLab's shortcuts
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

window._JUPYTERLAB ??= {};
window._JUPYTERLAB["mnist-helpers-rise"] = {
  init: async shared => {
    shared["@jupyterlab/console"] ??= { "4.3.4": { from: "mnist-helpers-rise", get: async () => () => console_module } };
  },
  get: async () => () => ({ __esModule: true, default: [] }),
};
