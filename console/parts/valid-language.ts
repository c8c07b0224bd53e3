// A browser on a machine without a locale says that its language is `en-US@posix`, which Intl refuses. uPlot asks Intl for that
// language when it is loaded, so this comes before it.
try {
  new Intl.Locale(navigator.language);
} catch {
  Object.defineProperty(navigator, 'language', { value: 'en', configurable: true });
}
