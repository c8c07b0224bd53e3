import { Monitor, Moon, Sun } from 'lucide-react';
import { useState } from 'react';
import { MenuChoice, MenuLabel } from './menu.tsx';

type Theme = 'system' | 'light' | 'dark';

function chosen(): Theme {
  const theme = document.documentElement.dataset.theme;
  return theme === 'light' || theme === 'dark' ? theme : 'system';
}

function choose(theme: Theme): void {
  // Read again before the first paint of the next visit (public/theme.js).
  try {
    if (theme === 'system') localStorage.removeItem('theme');
    else localStorage.setItem('theme', theme);
  } catch {
    // Then it holds until the page is closed.
  }
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  // For what is drawn on a canvas and cannot follow by itself.
  dispatchEvent(new Event('themechange'));
}

export function ThemeChoice() {
  const [theme, setTheme] = useState(chosen);
  return (
    <>
      <MenuLabel>Theme</MenuLabel>
      <MenuChoice<Theme>
        value={theme}
        onChange={(next) => {
          choose(next);
          setTheme(next);
        }}
        options={[
          { value: 'system', label: 'As the system', icon: Monitor },
          { value: 'light', label: 'Light', icon: Sun },
          { value: 'dark', label: 'Dark', icon: Moon },
        ]}
      />
    </>
  );
}
