// Runs before the first paint: a reader who chose a theme must not see the other one flash. A file, because the policy allows no inline script.
try {
  const theme = localStorage.getItem('auditrax.theme');
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
} catch {
  // Storage can be switched off; then the system's theme stays.
}
