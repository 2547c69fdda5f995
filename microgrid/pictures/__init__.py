"""Parts of pictures: outlines of graphs, Graphviz, pages for a browser."""
