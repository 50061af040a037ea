"""What lies and runs on this machine: releases in folders, processes under keepers, one fence."""
