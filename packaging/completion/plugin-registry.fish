complete --keep-order --exclusive --command plugin-registry --arguments "(COMPLETE=fish plugin-registry -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
complete --keep-order --exclusive --command plr --arguments "(COMPLETE=fish plr -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
