// jupyterlab-rise (up to 0.43.1) lacks the module @jupyterlab/console, and without it ipywidgets 8 does not load there:
// https://github.com/jupyterlab-contrib/rise/issues/119. This extension provides the two names that ipywidgets takes
// from the module, unless the page has the real one (JupyterLab has). It does nothing else.
const console_module = {
  CodeConsole: class {},
  IConsoleTracker: { name: "@jupyterlab/console:IConsoleTracker" },
};

window._JUPYTERLAB ??= {};
window._JUPYTERLAB["mnist-helpers-rise"] = {
  init: async shared => {
    shared["@jupyterlab/console"] ??= { "4.3.4": { from: "mnist-helpers-rise", get: async () => () => console_module } };
  },
  get: async () => () => ({ __esModule: true, default: [] }),
};
