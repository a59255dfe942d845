"""Charts as inline SVG: no library, no network; colours come from the page's style sheet, so they follow dark mode"""
