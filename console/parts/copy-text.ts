/** Copies it, on a click or a key. Rejects with words for whoever wanted it. */
export async function copyText(text: string): Promise<void> {
  // The clipboard exists only where the page came over https or from this machine.
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  if (!copyAsSelected(text))
    throw new Error('This browser does not let the page copy it: select it, and copy it by hand.');
}

/** As if somebody had selected it and pressed the keys. The focus stays where it is. */
function copyAsSelected(text: string): boolean {
  const words = document.createElement('span');
  words.className = 'sr-only whitespace-pre select-text';
  words.textContent = text;
  // Beside an open dialog nothing can be selected.
  (document.querySelector('dialog[open]') ?? document.body).append(words);
  const selection = getSelection();
  const before = selection?.rangeCount ? selection.getRangeAt(0) : null;
  selection?.selectAllChildren(words);
  // Every character as it is, whatever the browser makes of what is selected.
  const onCopy = (event: ClipboardEvent) => {
    event.preventDefault();
    event.clipboardData?.setData('text/plain', text);
  };
  document.addEventListener('copy', onCopy);
  try {
    return document.execCommand('copy');
  } finally {
    document.removeEventListener('copy', onCopy);
    words.remove();
    selection?.removeAllRanges();
    if (before) selection?.addRange(before);
  }
}
