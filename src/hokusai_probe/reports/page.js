"use strict";
// The only script of a page: it copies commands. Without it the buttons stay hidden and nothing is lost.
(() => {
  const said = document.getElementById("copied");
  const select = (block) => {
    const range = document.createRange();
    range.selectNodeContents(block);
    const chosen = window.getSelection();
    chosen.removeAllRanges();
    chosen.addRange(range);
  };
  const copy = async (block) => {
    try {
      await navigator.clipboard.writeText(block.textContent);
      return "Copied.";
    } catch {
      select(block);
      return "Selected: copy it with your keyboard.";
    }
  };
  for (const button of document.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      said.textContent = "";
      said.textContent = await copy(button.parentElement.querySelector("code"));
      window.setTimeout(() => { said.textContent = ""; }, 4000);
    });
  }
})();
