// The theme puts a toolbar on each block of code and calls every one a navigation without a name.
// A page would then have many landmarks that nobody who hears it can tell apart.
new MutationObserver((changes, observer) => {
  for (const bar of document.querySelectorAll("nav.md-code__nav:not([role])")) {
    bar.setAttribute("role", "presentation");
  }
}).observe(document.documentElement, { childList: true, subtree: true });
