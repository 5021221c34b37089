// What keyboards and screen readers need, and the theme does not do.
function mend() {
  for (const wide of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
    if (wide.scrollWidth > wide.clientWidth) wide.tabIndex = 0;
  }
  document.querySelectorAll(".md-code__nav").forEach((buttons, index) => {
    buttons.setAttribute("aria-label", `Buttons of block ${index + 1}`);
  });
}

addEventListener("resize", mend);
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
mend();
