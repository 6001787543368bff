// What scrolls sideways can be reached with the keyboard (WCAG 2.1.1).
document.addEventListener("DOMContentLoaded", () => {
  for (const region of document.querySelectorAll("pre > code, .md-typeset table")) region.tabIndex = 0;
});
