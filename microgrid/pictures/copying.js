/* Copy a text, and say so on the button that was pressed. It asks no permission, so it works in frames and in files; where
   even that is not allowed, the text stands there to be copied by hand. */
function copied(text, button, told = "Copied") {
  const field = document.createElement("textarea"), said = button.textContent;
  field.value = text;
  field.setAttribute("aria-label", "Text to copy");
  button.after(field);
  field.select();
  const done = document.execCommand("copy");
  button.textContent = done ? told : "Press Ctrl+C";
  if (done) { field.remove(); button.focus(); }
  setTimeout(() => { field.remove(); button.textContent = said; }, done ? 1500 : 15000);
}
